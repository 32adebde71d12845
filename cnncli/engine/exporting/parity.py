"""Whether an artifact answers as its run does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.engine.exporting.proof import Case, Proof
from cnncli.errors import ExportError
from cnncli.serving.artifact import Artifact, Probabilities
from cnncli.serving.description import Description
from cnncli.tasks.significance import Z_95

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tolerance:
    """What an artifact may differ by.

    Attributes:
        max_abs_diff: Largest difference of any probability, or None where only the accuracy counts.
        max_log_diff: Largest difference of the logarithm of any probability above `FAINT`. Where a thousand classes
            are about equally probable, all probabilities are small, and so would be every difference.
        max_drop: Largest drop of the accuracy on the real examples, as a share.
    """

    max_abs_diff: float | None
    max_log_diff: float | None
    max_drop: float


EXACT = Tolerance(max_abs_diff=1e-5, max_log_diff=1e-3, max_drop=0.0)
"""What float32 rounding explains."""

FAINT = 1e-6
"""Probabilities below it are rounding errors of the others."""


@dataclass(frozen=True)
class Parity:
    """An artifact's answers beside its run's.

    Attributes:
        max_abs_diff: Largest difference of any probability in any case.
        max_log_diff: Largest difference of the logarithm of any probability above `FAINT` in any case.
        agreement: Share of real examples whose most probable class is the same.
        num_examples: Number of real examples.
        split: The split they are of.
        accuracy: The artifact's on them.
        run_accuracy: The run's.
        accuracy_drop: The run's minus the artifact's.
        accuracy_drop_interval: Its 95 % interval, the examples being the same.
        cases: For each kind of case: case, num_images, max_abs_diff, max_log_diff, agreement.
    """

    max_abs_diff: float
    max_log_diff: float
    agreement: float
    num_examples: int
    split: str
    accuracy: float
    run_accuracy: float
    accuracy_drop: float
    accuracy_drop_interval: tuple[float, float]
    cases: Sequence[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def compare(artifact: Artifact, proof: Proof) -> Parity:
    """Ask an artifact in its own runtime everything that the proof holds."""
    cases = [proof.real, *proof.edges, *(proof.other_sizes if artifact.description.any_size else ())]
    found = [artifact.probabilities(case.images) for case in cases]
    rows: dict[str, dict[str, Any]] = {}
    for case, answer in zip(cases, found, strict=True):
        _check_form(answer, case)
        _add(rows.setdefault(case.name, {"case": case.name, "num_images": 0}), case, answer)
    labels = np.asarray(proof.real.labels)
    right, run_right = (p.argmax(axis=1) == labels for p in (found[0], proof.real.expected))
    return Parity(
        max_abs_diff=max(row["max_abs_diff"] for row in rows.values()),
        max_log_diff=max(row["max_log_diff"] for row in rows.values()),
        agreement=rows[proof.real.name]["agreement"],
        num_examples=len(labels),
        split=proof.split.name,
        accuracy=float(right.mean()),
        run_accuracy=float(run_right.mean()),
        accuracy_drop=float(run_right.mean() - right.mean()),
        accuracy_drop_interval=paired_interval(run_right, right),
        cases=list(rows.values()),
    )


def check(parity: Parity, tolerance: Tolerance, what: str) -> None:
    """Refuse an artifact that differs by more than it may.

    Raises:
        ExportError: With the numbers.
    """
    limit = tolerance.max_abs_diff
    if limit is not None:
        worst = max(parity.cases, key=lambda row: float(row["max_abs_diff"]))
        if not parity.max_abs_diff <= limit:
            raise ExportError(
                f"{what} predicts differently from the run: a probability differs by {parity.max_abs_diff:.2g} "
                f"({worst['case']}; allowed: {limit:.0e}); {parity.agreement:.2%} of {parity.num_examples:,} examples "
                "have the same most probable class",
                "No artifact was saved.",
            )
        if tolerance.max_log_diff is not None and not parity.max_log_diff <= tolerance.max_log_diff:
            raise ExportError(
                f"{what} predicts differently from the run: a probability is off by {parity.max_log_diff:.2%} "
                f"of its value (allowed: {tolerance.max_log_diff:.1%})",
                "No artifact was saved.",
            )
        other = [row["case"] for row in parity.cases if row["agreement"] < 1]
        if other:
            raise ExportError(
                f"{what} predicts differently from the run: its most probable class differs ({', '.join(other)})",
                "No artifact was saved.",
            )
    if parity.accuracy_drop > tolerance.max_drop:
        low, high = parity.accuracy_drop_interval
        raise ExportError(
            f"{what} is worse than the run: accuracy {parity.accuracy:.2%} instead of {parity.run_accuracy:.2%}, "
            f"{100 * parity.accuracy_drop:.2f} points (95 % interval {100 * low:.2f} to {100 * high:.2f}); "
            f"allowed: {100 * tolerance.max_drop:.2f}",
            "No artifact was saved. --max-drop sets the allowed drop in points.",
        )


def check_description(found: Description, expected: Description, what: str) -> None:
    """Refuse an artifact that says other things of itself than the run: another class order, another size.

    Raises:
        ExportError: With the field.
    """
    for field, value in asdict(expected).items():
        if asdict(found)[field] != value:
            raise ExportError(f"{what} and the run differ in {field}", "No artifact was saved.")


def paired_interval(before: Flags, after: Flags) -> tuple[float, float]:
    """Return the 95 % interval of a drop of accuracy, both being measured on the same examples.

    Reference: Agresti and Min, Statistics in Medicine 24 (5), 2005 (Wald, half an example added to each cell).
    """
    lost, won = float((before & ~after).sum()) + 0.5, float((after & ~before).sum()) + 0.5
    number = len(before) + 2
    centre = (lost - won) / number
    spread = Z_95 * sqrt(max(lost + won - (lost - won) ** 2 / number, 0.0)) / number
    return centre - spread, centre + spread


def _check_form(answer: Probabilities, case: Case) -> None:
    if answer.shape != case.expected.shape:
        raise ExportError(
            f"the artifact returns shape {answer.shape} for {case.name}, expected {case.expected.shape}",
            "No artifact was saved.",
        )


def _add(row: dict[str, Any], case: Case, answer: Probabilities) -> None:
    """Add a case to the row of its kind."""
    difference = np.abs(answer.astype(np.float64) - case.expected)
    # NaN must not pass for small: max() would drop it.
    worst = float(difference.max()) if np.isfinite(answer).all() else float("inf")
    same = _same_class(answer, case.expected)
    before = row["num_images"]
    row["max_abs_diff"] = max(row.get("max_abs_diff", 0.0), worst)
    row["max_log_diff"] = max(row.get("max_log_diff", 0.0), _log_difference(answer, case.expected))
    row["agreement"] = (row.get("agreement", 0.0) * before + float(same.sum())) / (before + len(same))
    row["num_images"] = before + len(same)


def _log_difference(answer: Probabilities, expected: Probabilities) -> float:
    """Return the largest difference of the logarithms where the run's probability is not faint."""
    seen = expected > FAINT
    return float(np.abs(np.log(np.maximum(answer[seen], 1e-12)) - np.log(expected[seen])).max())


def _same_class(answer: Probabilities, expected: Probabilities) -> Flags:
    """Whether the most probable class is the run's, or one that is as probable for the run to 7 digits."""
    chosen = answer.argmax(axis=1)
    of_run: Flags = expected[np.arange(len(chosen)), chosen] >= expected.max(axis=1) - 1e-7
    return of_run
