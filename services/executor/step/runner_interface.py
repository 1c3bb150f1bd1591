"""The interface of a model runner: copies of KV pages, and steps."""

from collections.abc import Sequence
from typing import Protocol

from xylem.services.executor.step.row import StepRow


class InFlightStep(Protocol):
    """A step that was launched. It may be dropped without calling sampled_tokens()."""

    def start_sampling(self) -> None:
        """Begins to sample. Until then rows may lose `sample`, and their logits processors accept tokens."""

    def sampled_tokens(self) -> list[int]:
        """Waits for the tokens: one for each row with `sample`, in order. Fills the results of the rows."""


class ModelRunner(Protocol):
    """Runs steps one after the other: each finds the KV that earlier ones have written.

    runs_ahead: whether `launch` and `start_sampling` return before they are done, so that the next step is better
    launched before the tokens of the last one are waited for. Only then may a row have a PLACEHOLDER_ID.
    has_head: whether logits come out of the model; those of embedding models are saved without a head.
    """

    @property
    def num_pages(self) -> int: ...

    @property
    def page_size(self) -> int: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def runs_ahead(self) -> bool: ...

    @property
    def has_head(self) -> bool: ...

    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""

    def launch_step(self, rows: Sequence[StepRow]) -> InFlightStep:
        """Begins the forward pass of the rows."""
