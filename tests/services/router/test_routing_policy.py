"""Routing policies are chosen by name."""

from typing import get_args

import pytest

from xylem.services.router.least_loaded import LeastLoaded
from xylem.services.router.longest_prefix import LongestPrefix
from xylem.services.router.routing_policy import ROUTING_POLICIES
from xylem.services.router.service import RouterService
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import running
from xylem.shared.runtime.settings import RouterSettings, SettingsError, load


def test_the_setting_names_every_policy() -> None:
    assert list(get_args(RouterSettings.model_fields["routing_policy"].annotation)) == list(ROUTING_POLICIES)


@pytest.mark.parametrize(
    ("arguments", "chosen"), [([], LongestPrefix), (["prefix"], LongestPrefix), (["load"], LeastLoaded)]
)
async def test_the_service_takes_the_policy_of_its_setting(
    nats_url: str, bus: Bus, arguments: list[str], chosen: type
) -> None:
    settings = load(RouterSettings, ["--nats-url", nats_url, *(f"--routing-policy={name}" for name in arguments)])
    service = RouterService(settings)
    async with running(service):
        assert type(service.routing_policy) is chosen


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"bad settings: routing_policy: .*'prefix' or 'load' \(got 'random'\)"):
        load(RouterSettings, ["--routing-policy", "random"])
