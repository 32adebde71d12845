"""A run's network measured on examples whose answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnncli.api.surroundings import Surroundings
    from cnncli.engine.evaluation.evaluate import RunMeasurement
    from cnncli.runs.run import Run
    from cnncli.tasks.measurement import EvaluationOptions


class Evaluation(dict[str, Any]):
    """What `cnn eval --json` prints, with what else can be asked of it."""

    def __init__(self, run: Run, measured: RunMeasurement, document: dict[str, Any], around: Surroundings) -> None:
        super().__init__(document)
        self._run, self._measured, self._around = run, measured, around

    def csv(self) -> str:
        """Return every prediction, a line each, as `cnn eval --csv` writes them."""
        return self._measured.result.csv()

    def invariance(self) -> dict[str, Any]:
        """Return how accurate the network is on shifted, rotated, blurred, … images; the run keeps it. Takes a while.

        Raises:
            CnnError: If the network does not classify.
        """
        from cnncli.engine.evaluation.invariance import measure

        with self._around.doing("measuring changed images"):
            return measure(self._run, self._measured, self._around.tell)


def evaluate(run: Run, options: EvaluationOptions, around: Surroundings) -> Evaluation:
    """Measure a run's network, and let the run keep what came out.

    Args:
        run: The run.
        options: What is measured.
        around: What hears of it; also where nothing can be kept.

    Raises:
        CnnError: If the checkpoint or the examples are missing or damaged.
    """
    with around.importing():
        from cnncli.engine.evaluation.evaluate import evaluate_run
    examples = f"the {options.split} split" if options.data is None or options.moved else str(options.data)
    with around.doing(f"reading and measuring {examples} with {run.path}"):
        measured, document = evaluate_run(run, options, around.tell)
    return Evaluation(run, measured, document, around)
