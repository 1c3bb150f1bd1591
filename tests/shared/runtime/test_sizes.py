import pytest

from xylem.shared.runtime.settings import ExecutorSettings, SettingsError, load
from xylem.shared.runtime.sizes import parse_bytes, parse_tokens


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0", 0), ("512", 512), ("2GB", 2 * 10**9), ("2GiB", 2 << 30), ("2G", 2 << 30), ("1.5GiB", 3 << 29),
        ("64 MiB", 64 << 20), ("64mb", 64 * 10**6), ("7B", 7), ("1k", 1024), ("1TiB", 1 << 40), (12, 12),
    ],
)  # fmt: skip
def test_bytes(written: object, number: int) -> None:
    assert parse_bytes(written) == number


@pytest.mark.parametrize(("written", "number"), [("32k", 32000), ("32K", 32768), ("1M", 1 << 20), ("100", 100)])
def test_tokens(written: object, number: int) -> None:
    assert parse_tokens(written) == number


@pytest.mark.parametrize("written", ["", "GB", "2XB", "-1GiB", "0.3B", "2 GB x", "1e9"])
def test_anything_else_is_refused_by_the_setting(written: str) -> None:
    with pytest.raises(SettingsError, match="kv_bytes"):
        load(ExecutorSettings, ["--kv-bytes", written])


def test_settings_read_them() -> None:
    settings = load(ExecutorSettings, ["--kv-bytes", "2GiB", "--context-length", "32K", "--token-budget", "2k"])
    assert (settings.kv_bytes, settings.context_length, settings.token_budget) == (2 << 30, 32768, 2000)
