"""Settings of all services: environment `XYLEM_NAME` or flag `--name`, the same names in both; flags win.

One class per service over a common base. A name that no service knows is an error in both spellings, with the nearest
known one in the message; a variable that another service knows is left alone, so that one environment serves all.
"""

import difflib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from xylem.shared.model_info.model_card import ModelCard, locate
from xylem.shared.protocol.subjects import slug
from xylem.shared.runtime.names import Hosts, Origins, is_repeatable
from xylem.shared.runtime.sizes import Bytes, Tokens

PREFIX = "XYLEM_"


class SettingsError(Exception):
    """Settings that can't be used; the message says which and why."""


class Settings(BaseSettings):
    """The settings that every service has."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", validate_default=True, protected_namespaces=())

    model: str = Field("demonstration", description="Model folder, hub id, or 'demonstration' for the built-in one.")
    served_name: str = Field("", description="Name that clients ask for. Default: the last part of the model's path.")
    context_length: Tokens = Field(
        0, ge=0, description="Most tokens of prompt and output together; 0 is what the model's config.json says."
    )
    model_overrides: str = Field("", description="JSON object whose members replace those of the model's config.json.")
    nats_url: str = Field("nats://127.0.0.1:4222", description="NATS servers, comma separated.")
    nats_url_file: str = Field("", description="File with the same, for URLs with a password; wins over nats_url.")
    nats_ca_file: str = Field("", description="Who vouches for the NATS servers (PEM). With it TLS is a must.")
    id: str = Field("", description="Name of this instance, unique within its kind. Default: the host's name.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    otlp_endpoint: str = Field("", description="OTLP/HTTP endpoint for traces, such as http://host:4318. Off if empty.")
    heartbeat_s: float = Field(0.5, gt=0, le=10, description="Seconds between two heartbeats.")
    drain_s: float = Field(30.0, ge=0, description="Longest time to finish running requests after SIGTERM.")
    connect_s: float = Field(30.0, gt=0, description="How long to try to reach NATS at start.")

    @property
    def model_name(self) -> str:
        """The name that clients use."""
        return self.served_name or self.model.rstrip("/").rsplit("/", 1)[-1]

    def load_model_card(self, *, with_weights: bool = False) -> ModelCard:
        """Reads the configuration. with_weights: of a hub id the weights are fetched, too. Raises ModelError."""
        path = locate(self.model, with_weights=with_weights)
        return ModelCard.load(path, context_length=self.context_length, overrides=self.model_overrides)

    @property
    def model_slug(self) -> str:
        """The name as it stands in subjects."""
        return slug(self.model_name)

    @property
    def instance(self) -> str:
        """This instance's id as one subject token."""
        return slug(self.id or socket.gethostname())


class GatewaySettings(Settings):
    host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the gateway listens on; 0 picks a free one.")
    tls_cert_file: str = Field("", description="Certificate of the gateway (PEM, its chain included); TLS if given.")
    tls_key_file: str = Field("", description="The certificate's private key (PEM, not encrypted).")
    api_keys_file: str = Field("", description="TOML file of the keys that are let in. Everybody is if empty.")
    allowed_hosts: Hosts = Field(
        (),
        description="Names that clients may call the gateway by, *.example for all below; * for any. On 127.0.0.1 the"
        " default is addresses, names without a dot and those of private networks; elsewhere any.",
    )
    allow_origin: Origins = Field(
        (), description="Origins whose pages may use the gateway (CORS), such as https://app.example; * for all."
    )
    ping_s: float = Field(
        15.0, ge=0, description="A stream is sent a comment after so long without anything; 0 sends none."
    )
    max_body_bytes: Bytes = Field(32 << 20, gt=0, description="Largest request body.")
    max_open_requests: int = Field(4096, gt=0, description="Requests a gateway holds at once; more get 429.")
    max_open_requests_per_key: int = Field(
        0, ge=0, description="The same of each API key whose entry sets no limit of its own; 0 is none."
    )
    max_kept_responses: int = Field(1024, ge=0, description="Answers of /v1/responses that stay in a gateway's memory.")
    max_kept_response_bytes: Bytes = Field(64 << 20, ge=0, description="The memory they may take, in bytes.")
    response_ttl_s: float = Field(30 * 86400.0, ge=1, description="How long JetStream keeps them, to go on from.")
    response_store_bytes: Bytes = Field(
        1 << 30, ge=0, description="The disk they may take there; the oldest go first. 0: none is kept there."
    )
    response_replicas: int = Field(1, ge=1, le=5, description="On how many servers of a NATS cluster they are kept.")
    request_timeout_s: float = Field(600.0, gt=0, description="Longest life of a request.")
    stall_timeout_s: float = Field(30.0, gt=0, description="Longest time without progress of an attempt.")
    repair_s: float = Field(60.0, ge=0, description="How long requests wait for a stage that has gone missing.")
    tool_call_parser: str = Field("", description="How the model writes calls of tools, if its template misleads.")
    reasoning_parser: str = Field("", description="How the model marks its thinking, if its template misleads.")
    client_header_blocks: Literal["drop", "keep"] = Field(
        "drop",
        description="Whether the model reads system blocks that hold an agent's x-anthropic-billing-header: it changes"
        " from one conversation to the next, so that no prefix behind it would be found in the cache.",
    )
    client_timeout_s: float = Field(
        60.0, gt=0, description="Longest time for a client to send a request, or to take nothing of its answer."
    )


class TokenizerSettings(Settings):
    tokenizer_threads: int = Field(2, ge=1, description="Threads that encode long prompts.")
    strict_max_tokens: bool = Field(
        False, description="Whether max_tokens beyond the rest of the context is an error; else the rest is meant."
    )
    template_specials: Literal["", "user-text=plain"] = Field(
        "", description="user-text=plain: tokens that users and tools spell out in chat messages stay text."
    )


class RouterSettings(Settings):
    routing_policy: Literal["prefix", "load"] = Field(
        "prefix", description="Scheduler that knows most of a prompt, its load weighed in, or the least loaded one."
    )


class SchedulerSettings(Settings):
    group: str = Field(
        "default", description="Executors of this group belong to its oldest scheduler; others stand by."
    )
    max_waiting: int = Field(2048, ge=1, description="Requests that may wait; more get 429.")
    queue_policy: Literal["prefix", "fifo"] = Field("prefix", description="Longest prefix first, or arrival.")
    ageing_s: float = Field(30.0, gt=0, description="A request that waited this long goes before any younger one.")
    prefix_cache: Literal["on", "off"] = Field("on", description="Whether prefixes that were read are used again.")
    grant_ahead_tokens: int = Field(64, ge=1, description="How far ahead of need pages are granted.")
    gateway_grace_s: float = Field(10.0, ge=0, description="How long a request lives on when its gateway has died.")


class ExecutorSettings(Settings):
    group: str = Field("default", description="The scheduler of this group plans for the executor.")
    device: str = Field("auto", description="Torch device: cpu, cuda, cuda:1; auto: a GPU if there is one.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field("auto", description="Weights and KV; auto: float32 on CPU.")
    page_size: int = Field(16, ge=1, le=1024, description="Tokens in a KV page.")
    kv_bytes: Bytes = Field(
        0, ge=0, description="Memory of the KV pool; 0 is 512 MiB on a CPU, what memory_fraction leaves on a GPU."
    )
    kv_pages: int = Field(0, ge=0, description="Pages of the KV pool; 0 takes as many as fit.")
    memory_fraction: float = Field(
        0.9, gt=0, le=1, description="Share of a GPU's memory that may be taken, by weights, steps and KV together."
    )
    max_running: int = Field(64, ge=1, description="Sequences that may run at once.")
    token_budget: Tokens = Field(512, ge=1, description="Tokens of one step, prompt chunks and decoding together.")
    threads: int = Field(0, ge=0, description="Torch threads; 0 takes as many as make a step faster.")
    kernels: str = Field("auto", description="Backend of the kernels.")
    quantization: Literal["none", "int8", "int4"] = Field("none", description="Bits of linear weights, on CPUs.")
    grammar_timeout_s: float = Field(
        15.0, gt=0, description="For compiling a grammar; one that takes longer is refused."
    )
    grammar_bytes: Bytes = Field(1 << 30, gt=0, description="Memory of each process that compiles grammars.")
    grammar_cache_bytes: Bytes = Field(256 << 20, ge=0, description="Memory for compiled grammars that are not in use.")


class DetokenizerSettings(Settings):
    pass


ALL: tuple[type[Settings], ...] = (
    GatewaySettings,
    TokenizerSettings,
    RouterSettings,
    SchedulerSettings,
    ExecutorSettings,
    DetokenizerSettings,
)

S = TypeVar("S", bound=Settings)


def known_names() -> set[str]:
    """Every setting of every service."""
    return {name for kind in ALL for name in kind.model_fields}


def load(kind: type[S], arguments: Sequence[str] = ()) -> S:
    """Settings of one service from flags (`--name value`, `--name=value`) over the environment.

    Raises SettingsError that lists every fault.
    """
    names = {PREFIX + name.upper() for name in known_names() | RESERVED}
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in names:
            raise SettingsError(_unknown(variable, names))
    try:
        settings = kind(**_flags(kind, arguments))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors())
        raise SettingsError(f"bad settings: {faults}") from None
    if settings.nats_url_file:
        settings.nats_url = read_url(settings.nats_url_file)
    return settings


# Variables of clients and of the command line, which are no settings of a service.
RESERVED = {"api_key", "ca_file", "url"}


def read_url(path: str) -> str:
    """Returns the URL that nats_url_file holds. Raises SettingsError."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"nats_url_file: {path} can't be read ({type(error).__name__})") from None


def _flags(kind: type[Settings], arguments: Sequence[str]) -> dict[str, Any]:
    flags = {"--" + name.replace("_", "-"): name for name in kind.model_fields}
    given: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        name = flags.get(flag.replace("_", "-"))
        if name is None:
            raise SettingsError(_unknown(flag, set(flags)))
        if not equals and kind.model_fields[name].annotation is bool and (not rest or rest[0].startswith("--")):
            value = "true"
        elif not equals:
            if not rest:
                raise SettingsError(f"{flag} needs a value")
            value = rest.pop(0)
        if name in given and is_repeatable(kind.model_fields[name].annotation):
            value = f"{given[name]},{value}"
        given[name] = value
    return given


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
    return f"unknown setting {name}{hint}"


def load_or_exit(kind: type[S]) -> S:
    """Settings of this process; on a fault prints it and exits with 2, `--help` prints what there is."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        for name, field in kind.model_fields.items():
            sys.stdout.write(f"--{name.replace('_', '-'):<22} {field.description} [{field.default!r}]\n")
        raise SystemExit(0)
    try:
        return load(kind, sys.argv[1:])
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
