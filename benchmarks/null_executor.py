"""An executor service whose model answers in zero time: what remains is the pipeline. Same settings."""

from benchmarks.null_runner import NullRunner
from xylem.services.executor.service import ExecutorService
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.runtime.service import run


class NullExecutorService(ExecutorService):
    def make_runner(self, card: ModelCard) -> ModelRunner:
        return NullRunner(
            num_pages=self.settings.kv_pages or 65_536,
            page_size=self.settings.page_size,
            vocab_size=card.vocab_size,
            token_ids=range(300, 1000),
        )


if __name__ == "__main__":
    run(NullExecutorService)
