"""This module holds the API keys of a TOML file. Only their digests are kept, and no key is ever logged or repeated.

[alice]
key = "sk-..."             # or sha256 = "..." of it, so that the file holds no secret
max_open_requests = 8      # sequences open at once; more get 429. Default: the setting max_open_requests_per_key
min_priority = -5          # the lowest number, which goes first, that its requests may have. Default: 0
shared_cache = true        # prefixes are shared with the other keys that say so: others can time them

[operations]
sha256 = "..."
admin = true               # for /metrics and /admin, and for nothing else
"""

import hashlib
import hmac
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from xylem.shared.runtime.errors import Forbidden, InvalidRequest, Unauthorized

MIN_KEY_LENGTH = 16
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it stands in logs, messages and the names of requests


class KeysError(Exception):
    """The file can't be used; the message says why, and never repeats a key."""


@dataclass(frozen=True)
class Key:
    """`name` stands in messages as the tenant. max_open_requests None: that of the settings; 0: no limit."""

    name: str
    digest: bytes
    admin: bool = False
    max_open_requests: int | None = None
    shared_cache: bool = False
    min_priority: int = 0

    def check_priority(self, priority: int) -> None:
        """Raises InvalidRequest for a request that would go before those that this key may overtake."""
        if priority < self.min_priority:
            raise InvalidRequest(
                f"priority is {priority}; the key of {self.name} may ask for {self.min_priority} or more",
                param="priority",
            )

    def salt(self, given: str) -> str:
        """Returns the cache salt of its prefixes: its own, unless it shares them.

        Keyed by the digest: nobody who may choose a salt of his own can make up that of another key.
        """
        if self.shared_cache:
            return given
        return hmac.digest(self.digest, f"{self.name}\n{given}".encode(), "sha256").hex()


class Keys:
    """All keys of a gateway."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = keys
        self.has_admin = any(key.admin for key in keys)

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """Raises KeysError."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise KeysError(f"can't read the API keys in {path}: {type(error).__name__}") from None
        except tomllib.TOMLDecodeError:
            raise KeysError(f"{path} is no TOML file") from None  # its own message may quote a line
        if not table:
            raise KeysError(f"{path} has no keys")
        return cls([_key(path, name, entry) for name, entry in table.items()])

    def find_key(self, presented: str) -> Key:
        """The key that a client has shown. Raises Unauthorized. Looks at all of them, each in constant time."""
        digest = hashlib.sha256(presented.encode()).digest()
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        if not found:
            raise Unauthorized("no API key was given" if not presented else "the API key is not known here")
        return found[0]

    def check(self, presented: str, *, admin: bool) -> Key:
        """The key, if it is one for this. Raises Unauthorized, Forbidden."""
        key = self.find_key(presented)
        if key.admin != admin:
            raise Forbidden(f"the key of {key.name} is {'' if key.admin else 'not '}an admin key")
        return key


def _key(path: Path, name: str, entry: object) -> Key:
    known = {
        "key": str,
        "sha256": str,
        "admin": bool,
        "max_open_requests": int,
        "shared_cache": bool,
        "min_priority": int,
    }
    if not _NAME.fullmatch(name):
        raise KeysError(f"{path}: the name {name[:64]!r} must be 1 to 64 letters, digits, - or _")
    if not isinstance(entry, dict):
        raise KeysError(f"{path}: {name} must be a table, such as [{name}]")
    for field, value in entry.items():
        if field not in known:
            raise KeysError(f"{path}: {name} has an unknown field {field}; known: {', '.join(known)}")
        if type(value) is not known[field]:
            raise KeysError(f"{path}: {name}.{field} must be a {known[field].__name__}")
    if ("key" in entry) == ("sha256" in entry):
        raise KeysError(f"{path}: {name} needs either key or sha256")
    if "key" in entry and len(entry["key"]) < MIN_KEY_LENGTH:
        raise KeysError(f"{path}: the key of {name} is too short; {MIN_KEY_LENGTH} characters are the least")
    if "sha256" in entry and not _DIGEST.fullmatch(entry["sha256"]):
        raise KeysError(f"{path}: {name}.sha256 must be 64 hexadecimal digits")
    if entry.get("max_open_requests", 0) < 0:
        raise KeysError(f"{path}: {name}.max_open_requests must not be negative")
    digest = hashlib.sha256(entry["key"].encode()).digest() if "key" in entry else bytes.fromhex(entry["sha256"])
    return Key(
        name,
        digest,
        entry.get("admin", False),
        entry.get("max_open_requests"),
        entry.get("shared_cache", False),
        entry.get("min_priority", 0),
    )
