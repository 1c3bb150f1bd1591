import pytest

from xylem.services.executor.kv_cache.page_budget import DeviceMemory, pages_in_device
from xylem.shared.model_info.model_card import ModelError

GB = 10**9
LOADED = DeviceMemory(total=100 * GB, free=80 * GB, allocated=16 * GB, peak=17 * GB)


def test_the_pool_takes_what_is_left() -> None:
    # 90 may be taken; 20 are, and twice 5 are for steps.
    assert pages_in_device(LOADED, 2 * GB, step_bytes=5 * GB, fraction=0.9) == 30
    assert pages_in_device(LOADED, 7 * GB, step_bytes=5 * GB, fraction=0.9) == 8
    assert pages_in_device(LOADED, 2 * GB, step_bytes=0, fraction=0.22) == 1


def test_no_room_is_told_with_the_numbers() -> None:
    told = (
        r"0.5 of the GPU's 100.00 GB may be used \(memory_fraction\); 20.00 GB are taken, 16.00 of them by the weights,"
        r" steps need 30.00 GB \(token_budget, max_running\), a page 1.0000 GB"
    )
    with pytest.raises(ModelError, match=told):
        pages_in_device(LOADED, GB, step_bytes=15 * GB, fraction=0.5)
