"""Which processes serve one model on one machine, and with which environment. Pure: starts nothing."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xylem import IMPORT_PATH
from xylem.cli.serve.child import Member
from xylem.shared.runtime.settings import (
    PREFIX,
    DetokenizerSettings,
    ExecutorSettings,
    GatewaySettings,
    RouterSettings,
    SchedulerSettings,
    Settings,
    SettingsError,
    TokenizerSettings,
    load,
)

# In the order of starting: what takes longest goes first.
SERVICES: dict[str, type[Settings]] = {
    "executor": ExecutorSettings,
    "scheduler": SchedulerSettings,
    "router": RouterSettings,
    "tokenizer": TokenizerSettings,
    "detokenizer": DetokenizerSettings,
    "gateway": GatewaySettings,
}


class FleetError(Exception):
    """A set of processes that can't be started; the message says why."""


@dataclass(frozen=True)
class Fleet:
    """The six services, checked but not started. Gateways take the ports from `port` on."""

    members: tuple[Member, ...]
    host: str
    port: int
    model_name: str
    model_slug: str
    drain_s: float
    executor: ExecutorSettings
    certificate: str = ""  # of the gateway's TLS; plain HTTP without
    keyed: bool = False  # clients need an API key
    nats_ca_file: str = ""
    is_quiet: bool = False  # nobody has asked for the services' logs

    @property
    def num_executors(self) -> int:
        return sum(member.kind == "executor" for member in self.members)

    @property
    def url(self) -> str:
        """Returns the URL at which a client on this machine finds the first gateway."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"


def parse_replicas(text: str) -> dict[str, int]:
    """'tokenizer=2,executor=3' as a number for every service. Raises FleetError."""
    counts = dict.fromkeys(SERVICES, 1)
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = item.partition("=")
        if name not in SERVICES:
            raise FleetError(f"--replicas: {name!r} is no service; there are {', '.join(SERVICES)}")
        if not number.isdigit() or not 1 <= int(number) <= 64:
            raise FleetError(f"--replicas: {item!r} must be {name}=N with N from 1 to 64")
        counts[name] = int(number)
    return counts


def _port(host: str, wanted: int, count: int) -> int:
    """The wanted port, or a free one for 0; refuses now what the gateway could only refuse after everything started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(wanted, wanted + count):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except (OSError, OverflowError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise FleetError(f"can't listen on {host}:{port}: {reason}; choose another --port") from None
            if wanted == 0:
                return int(probe.getsockname()[1])
    return wanted


def assemble(
    given: Mapping[str, str],
    replicas: Mapping[str, int],
    nats_url: Callable[[str], str],
    environment: Mapping[str, str],
    *,
    groups: int = 1,
) -> Fleet:
    """The processes for the given settings (those of the environment hold where nothing is given).

    nats_url: of a kind of service, with its user. groups: into how many the executors are split. Each needs a
    scheduler; the next ones of a group stand by.

    Raises SettingsError and FleetError.
    """
    settings = {
        name: load(kind, [f"--{key}={value}" for key, value in given.items() if key in kind.model_fields])
        for name, kind in SERVICES.items()
    }
    if groups > min(replicas["scheduler"], replicas["executor"]):
        raise FleetError(f"--groups: {groups} groups need as many schedulers and executors; see --replicas")
    gateway, executor = settings["gateway"], settings["executor"]
    assert isinstance(gateway, GatewaySettings)
    assert isinstance(executor, ExecutorSettings)
    try:
        slug = gateway.model_slug
    except ValueError as error:
        raise SettingsError(str(error)) from None
    port = _port(gateway.host, gateway.port, replicas["gateway"])
    own: dict[str, str] = dict(environment) | {PREFIX + key.upper(): value for key, value in given.items()}
    path = os.pathsep.join(filter(None, (str(IMPORT_PATH), environment.get("PYTHONPATH"))))
    own |= {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    if not executor.threads and replicas["executor"] > 1:
        own["XYLEM_THREADS"] = str(max(1, (os.cpu_count() or 1) // replicas["executor"]))

    def member(kind: str, index: int) -> Member:
        name = f"{kind}-{index}"
        variables = own | {"XYLEM_NATS_URL": nats_url(kind), "XYLEM_ID": f"{gateway.id}-{name}" if gateway.id else name}
        if kind == "gateway":
            variables |= {"XYLEM_PORT": str(port + index)}
        if kind in ("scheduler", "executor") and groups > 1:
            variables |= {"XYLEM_GROUP": f"{executor.group}-{index % groups}"}
        # -P: a folder named `services` where the person happens to stand must not be taken for ours.
        return Member(name, kind, [sys.executable, "-P", "-m", f"xylem.services.{kind}"], variables)

    return Fleet(
        members=tuple(member(kind, index) for kind in SERVICES for index in range(replicas[kind])),
        host=gateway.host,
        port=port,
        model_name=gateway.model_name,
        model_slug=slug,
        drain_s=gateway.drain_s,
        executor=executor,
        certificate=gateway.tls_cert_file,
        keyed=bool(gateway.api_keys_file),
        nats_ca_file=gateway.nats_ca_file,
        is_quiet="log_level" not in given and not environment.get(f"{PREFIX}LOG_LEVEL"),
    )
