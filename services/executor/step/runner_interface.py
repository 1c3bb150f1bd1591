"""What the engine needs of a runner: KV pages that can be copied, and steps."""

from collections.abc import Sequence
from typing import Protocol

from xylem.services.executor.step.row import StepRow


class InFlightStep(Protocol):
    """A step that was launched."""

    def draw(self) -> None:
        """Begins to draw the tokens. Until now `sample` of a row may have been taken back, and its shaping moved on."""

    def tokens(self) -> list[int]:
        """Waits for the drawn tokens: one for each row with sample, in order. Notes in the rows what else they want."""


class ModelRunner(Protocol):
    """Makes steps one after the other: a later one finds all that an earlier one has written.

    runs_ahead: whether `launch` and `draw` return before they are done, so that the next step is better launched before
    the tokens of the last one are waited for. Only then may a row have an AWAITED token.
    """

    @property
    def num_pages(self) -> int: ...

    @property
    def page_size(self) -> int: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def runs_ahead(self) -> bool: ...

    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""

    def launch(self, rows: Sequence[StepRow]) -> InFlightStep:
        """Begins the forward pass of the rows. Who is no longer interested in a flight may leave it."""
