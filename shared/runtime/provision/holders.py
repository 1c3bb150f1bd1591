"""Each holder gets its secrets from here: the texts of all files, by holder and name. Pure; touches no disk."""

import hashlib
import secrets

from xylem.shared.runtime import permissions
from xylem.shared.runtime.provision import certificates

NATS = "nats"  # the server
OPERATOR = "operator"  # the person: keys for clients, and the bus as its admin
HOLDERS = (NATS, *permissions.PARTS, OPERATOR)

API_KEYS = "api-keys.toml"


def all_files(nats_host: str, port: int = 4222) -> dict[str, dict[str, str]]:
    """New ones. A service can be the user of its own kind; only the operator knows a key, the gateway its digest."""
    passwords = permissions.passwords()
    made = certificates.make([nats_host, "localhost", "127.0.0.1"])
    url = f"tls://{nats_host}:{port}"
    files = {
        kind: {"nats-url": permissions.url_of(url, kind, passwords[kind]), "ca.crt": made.authority}
        for kind in permissions.PARTS
    }
    keys = {"api-key": _key(), "admin-key": _key()}
    files["gateway"][API_KEYS] = _api_keys(keys)
    files[NATS] = {
        "users.conf": permissions.configuration(passwords),
        "server.crt": made.server,
        "server.key": made.server_key,
    }
    admin_url = permissions.url_of(url, permissions.ADMIN, passwords[permissions.ADMIN])
    files[OPERATOR] = {**keys, "nats-url": admin_url, "ca.crt": made.authority}
    return files


def _key() -> str:
    return f"sk-{secrets.token_urlsafe(32)}"


def _api_keys(keys: dict[str, str]) -> str:
    digests = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()}
    return (
        f'[default]\nsha256 = "{digests["api-key"]}"\nshared_cache = true  # there is nobody to hide from yet\n\n'
        f'[operations]\nsha256 = "{digests["admin-key"]}"\nadmin = true\n'
    )
