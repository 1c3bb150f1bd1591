from array import array

import torch

from tests.services.executor.model_runner.cuda.recorded import RecordingDevice
from xylem.services.executor.model_runner.cuda.sequence_slots import PADDING_SLOT, SequenceSlots
from xylem.services.executor.step.row import PLACEHOLDER_ID, StepRow
from xylem.shared.protocol import SamplingParams

DUMMY = 99


class CountingDevice(RecordingDevice):
    """Counts the numbers that go to the device."""

    num_uploaded = 0

    def upload(self, column):  # type: ignore[no-untyped-def]
        self.num_uploaded += column.size
        return super().upload(column)


def row(slot: int, pages: "array[int]", sampling: SamplingParams | None = None) -> StepRow:
    return StepRow([1], 0, pages, True, sampling or SamplingParams(), slot=slot)


def test_only_what_has_changed_goes_to_the_device() -> None:
    device = CountingDevice()
    slots = SequenceSlots(device, num_slots=3, table_len=4, dummy_page=DUMMY)
    first, second = array("i", [7, 8]), array("i", [5])
    slots.update_slots([row(2, first), row(1, second)])
    assert slots.tables.tolist() == [[DUMMY] * 4, [5, DUMMY, DUMMY, DUMMY], [7, 8, DUMMY, DUMMY], [DUMMY] * 4]
    before = device.num_uploaded
    slots.update_slots([row(2, first), row(1, second)])
    assert device.num_uploaded == before
    first.extend([9, 10, 11])  # granted ahead, more than the longest sequence may have
    slots.update_slots([row(2, first)])
    assert device.num_uploaded == before + 6
    assert slots.tables[2].tolist() == [7, 8, 9, 10]


def test_a_slot_is_taken_over_whole() -> None:
    slots = SequenceSlots(RecordingDevice(), num_slots=1, table_len=4, dummy_page=DUMMY)
    slots.update_slots([row(1, array("i", [1, 2, 3]), SamplingParams(temperature=0.0, seed=1))])
    slots.update_slots(
        [row(1, array("i", [4, 5]), SamplingParams(temperature=0.5, top_p=0.25, top_k=7, min_p=0.125, seed=-(2**62)))]
    )
    assert slots.tables[1, :2].tolist() == [4, 5]
    draws = slots.sampling_batch(torch.tensor([1, PADDING_SLOT]))
    assert [draws.temperature[0], draws.top_p[0], draws.min_p[0]] == [0.5, 0.25, 0.125]
    assert [draws.top_k[0], draws.seed[0]] == [7, -(2**62)]


def test_placeholders_are_filled_in() -> None:
    slots = SequenceSlots(RecordingDevice(), num_slots=3, table_len=1, dummy_page=DUMMY)
    slots.store_last_tokens(torch.tensor([50, 60]), torch.tensor([3, 1]))
    assert slots.fill_placeholders(
        torch.tensor([PLACEHOLDER_ID, 7, PLACEHOLDER_ID]), torch.tensor([1, 2, 3])
    ).tolist() == [60, 7, 50]
