"""An executor service whose model answers in zero time: what remains is the pipeline. Same settings."""

from benchmarks.null_runner import NullRunner
from services.executor.service import ExecutorService
from services.executor.step_runner import StepRunner
from shared.model_card import ModelCard
from shared.service import run


class NullExecutorService(ExecutorService):
    def make_runner(self, card: ModelCard) -> StepRunner:
        return NullRunner(
            num_pages=self.settings.kv_pages or 65_536,
            page_size=self.settings.page_size,
            vocab_size=card.vocab_size,
            token_ids=range(300, 1000),
        )


if __name__ == "__main__":
    run(NullExecutorService)
