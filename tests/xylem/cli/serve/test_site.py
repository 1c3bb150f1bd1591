"""What is printed when all is ready."""

import shlex

import pytest

from xylem.cli.serve.fleet import Fleet
from xylem.cli.serve.site import announcement
from xylem.shared.runtime.settings import ExecutorSettings


def fleet(certificate: str = "", *, keyed: bool = False) -> Fleet:
    return Fleet((), "127.0.0.1", 80, "m", "m", 1, ExecutorSettings(), certificate=certificate, keyed=keyed)


def test_the_command_goes_where_the_gateway_is() -> None:
    said = announcement(fleet(), 1.0)
    command = shlex.split(said.splitlines()[-1])
    assert command[:3] == ["curl", "-s", "http://127.0.0.1:80/v1/chat/completions"]
    assert "Authorization" not in said
    assert "--ca" not in said


@pytest.mark.parametrize("certificate", ["/etc/tls.crt", "/with space/tls.crt"])
def test_with_tls_and_keys_it_still_works_as_it_stands(certificate: str) -> None:
    _, chat, curl = announcement(fleet(certificate, keyed=True), 1.0).splitlines()
    assert "your key in XYLEM_API_KEY" in chat
    assert ["--ca-file", certificate] == shlex.split(chat.split(": ")[1].removesuffix(", or"))[-2:]
    command = shlex.split(curl)
    assert command[command.index("--cacert") + 1] == certificate
    assert command[4] == "https://127.0.0.1:80/v1/chat/completions"
    assert '"Authorization: Bearer $XYLEM_API_KEY"' in curl  # for the shell to fill in
