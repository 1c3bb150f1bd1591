"""The secrets of a deployment: who gets what, once, and that a real server and real buses work with them."""

import asyncio
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from xylem.services.gateway.api_keys import Keys
from xylem.shared.protocol import Control, ControlReply, subjects
from xylem.shared.runtime import permissions
from xylem.shared.runtime.bus import Bus, BusError
from xylem.shared.runtime.permissions import ADMIN, PARTS
from xylem.shared.runtime.provision import __main__ as command
from xylem.shared.runtime.provision.holders import HOLDERS, all_files
from xylem.shared.runtime.provision.write import COMPLETE, ProvisionError, provision

ROOT = Path(__file__).resolve().parents[4]


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_each_holder_gets_its_own_and_no_more() -> None:
    files = all_files("nats")
    assert set(files) == set(HOLDERS)
    urls = {kind: files[kind]["nats-url"] for kind in PARTS} | {ADMIN: files["operator"]["nats-url"]}
    for user, url in urls.items():
        assert re.fullmatch(rf"tls://{user}:[\w-]{{32,}}@nats:4222", url)
        secret = url.split(":")[2].split("@")[0]
        knows = {holder for holder, texts in files.items() if any(secret in text for text in texts.values())}
        assert knows == {"nats", "operator" if user == ADMIN else user}
    for name in ("api-key", "admin-key"):
        knows = {h for h, texts in files.items() if any(files["operator"][name] in text for text in texts.values())}
        assert knows == {"operator"}
    assert not any(
        "PRIVATE KEY" in text for holder, texts in files.items() if holder != "nats" for text in texts.values()
    )


def test_the_gateway_knows_the_operators_keys(tmp_path: Path) -> None:
    provision(tmp_path, "nats")
    keys = Keys.load(tmp_path / "gateway" / "api-keys.toml")
    assert not keys.find_key((tmp_path / "operator" / "api-key").read_text()).admin
    assert keys.find_key((tmp_path / "operator" / "admin-key").read_text()).admin


def test_they_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    assert provision(tmp_path, "nats")
    before = contents(tmp_path)
    assert not provision(tmp_path, "nats")
    assert contents(tmp_path) == before
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert provision(tmp_path, "nats", anew=True)
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert not [name for name in after if after[name] == before[name] and name != f"operator/{COMPLETE}"]


def test_an_interrupted_run_is_done_again_and_a_lost_part_is_named(tmp_path: Path) -> None:
    provision(tmp_path, "nats")
    (tmp_path / "operator" / COMPLETE).unlink()
    assert provision(tmp_path, "nats")
    for path in (tmp_path / "router").iterdir():
        path.unlink()
    with pytest.raises(ProvisionError, match="missing for router"):
        provision(tmp_path, "nats")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path)]
    assert command.main([*folder, "show", "api-key"]) == 1
    assert command.main([*folder, "make"]) == 0
    made = capsys.readouterr().out
    assert made == "secrets were made\n"
    assert command.main([*folder, "make"]) == 0
    assert capsys.readouterr().out == "secrets are there\n"
    assert command.main([*folder, "show", "api-key"]) == 0
    assert capsys.readouterr().out.strip() == (tmp_path / "operator" / "api-key").read_text()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("secrets")
    provision(root, "127.0.0.1")
    return root


def server_of(secrets: Path, folder: Path) -> NatsServer:
    """With what compose/nats.conf says of TLS and users, on a port of its own."""
    text = (ROOT / "compose" / "nats.conf").read_text().replace("/etc/nats/secrets/", f"{secrets}/nats/")
    own = [line for line in text.splitlines() if not line.startswith(("listen:", "http:", "max_payload:"))]
    (folder / "secrets").symlink_to(secrets / "nats")
    return NatsServer(folder, "\n".join(own) + "\n")


@pytest.fixture(scope="module")
def server(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    started = server_of(secrets, tmp_path_factory.mktemp("conf"))
    started.start()
    yield started
    started.kill()


def url(secrets: Path, server: NatsServer, holder: str) -> str:
    return (secrets / holder / "nats-url").read_text().replace(":4222", f":{server.port}")


@pytest.mark.parametrize("holder", [*PARTS, "operator"])
async def test_everybody_gets_in_with_what_he_holds(secrets: Path, server: NatsServer, holder: str) -> None:
    ca_file = str(secrets / holder / "ca.crt")
    bus = await Bus.connect(url(secrets, server, holder), holder, ca_file=ca_file, timeout_s=5)
    try:
        assert await answered(bus, ADMIN if holder == "operator" else holder)
    finally:
        await bus.drain()


async def answered(bus: Bus, kind: str) -> bool:
    async def answer(_: Control) -> ControlReply:
        return ControlReply(True)

    await bus.answer(subjects.control(kind, "x"), Control, answer)
    await bus.barrier()
    return (await bus.request(subjects.control(kind, "x"), Control("ping"), ControlReply)).ok


async def test_a_stranger_server_or_client_is_told_why(
    secrets: Path, server: NatsServer, nats_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(provision, tmp_path, "127.0.0.1")
    theirs, ours = url(tmp_path, server, "router"), url(secrets, server, "router")
    plain = permissions.url_of(nats_url, "router", "pass-word")
    for address, ca_file, complaint in (
        (ours, tmp_path / "router" / "ca.crt", "certificate verify failed"),
        (ours, "", "certificate verify failed"),
        # Over TLS a server that hangs up can be faster than its reason.
        (theirs, secrets / "router" / "ca.crt", "Authorization Violation|Broken pipe|Connection"),
        (ours.replace("tls://", "nats://"), tmp_path / "router" / "ca.crt", "certificate verify failed"),
        (plain, secrets / "router" / "ca.crt", "no TLS"),
        (plain.replace("nats://", "tls://"), "", "no TLS"),
        (ours, tmp_path / "nowhere", "can't be used"),
        (ours, secrets / "router" / "nats-url", "can't be used"),
    ):
        with pytest.raises(BusError, match=complaint) as error:
            await Bus.connect(address, "stranger", ca_file=str(ca_file), timeout_s=1)
        assert "pass-word" not in str(error.value)
        assert address.split(":")[2].split("@")[0] not in str(error.value)


@pytest.mark.parametrize(
    ("renewed", "said"), [("passwords", "Authorization Violation"), ("all", "certificate verify failed")]
)
def test_a_service_that_is_no_longer_known_ends_and_says_why(tmp_path: Path, renewed: str, said: str) -> None:
    """Whoever started it starts it again, with the secrets of now."""
    secrets = tmp_path / "made"
    provision(secrets, "127.0.0.1")
    server = server_of(secrets, tmp_path)
    server.start()
    given = {"URL": url(secrets, server, "router"), "CA_FILE": str(secrets / "router" / "ca.crt")}
    process = subprocess.Popen(
        [sys.executable, "-m", "xylem.services.router"],
        cwd=ROOT,
        env={**os.environ, **{f"XYLEM_NATS_{name}": value for name, value in given.items()}},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert any("is ready" in line for line in process.stderr)
        server.kill()
        if renewed == "all":
            provision(secrets, "127.0.0.1", anew=True)
        else:
            (secrets / "nats" / "users.conf").write_text(permissions.configuration(permissions.passwords()))
        server.start()
        rest = process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 1
        assert "the NATS server takes us no more: " in rest
        assert said.lower() in rest.lower()
        assert "Traceback" not in rest
    finally:
        process.kill()
        server.kill()
