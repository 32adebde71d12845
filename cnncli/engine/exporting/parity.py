"""Whether an artifact predicts what its run predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cnncli.engine.exporting.proof import Case, Proof
from cnncli.errors import ExportError
from cnncli.serving.artifact import Artifact
from cnncli.serving.description import Description
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.parity import Difference, ParityRules, ScoreDrop
from cnncli.tasks.predictions import PredictionOptions


@dataclass(frozen=True)
class Tolerance:
    """What an artifact may differ by.

    Attributes:
        max_abs_diff: Largest difference of any output, as the task measures it, or None where only the score counts.
        max_log_diff: Largest difference of the logarithm of any output, where the task measures that.
        max_drop: Largest drop of the task's score on the real examples; of an accuracy, as a share.
    """

    max_abs_diff: float | None
    max_log_diff: float | None
    max_drop: float


EXACT = Tolerance(max_abs_diff=1e-5, max_log_diff=1e-3, max_drop=0.0)
"""What float32 rounding explains."""


@dataclass(frozen=True)
class Parity:
    """An artifact's outputs beside its run's.

    Attributes:
        max_abs_diff: Largest difference of any output in any case.
        max_log_diff: Largest difference of the logarithm of any output in any case; None where it has no meaning.
        agreement: Share of real examples with the same prediction.
        num_examples: Number of real examples.
        split: The split they are of.
        score: The task's score on them.
        cases: For each kind of case: case, num_images, max_abs_diff, max_log_diff, agreement.
        rules: The task's.
        pixel_agreement: Share of the real examples' pixels that have the same class, ties not excused; None where the
            task says nothing of pixels.
    """

    max_abs_diff: float
    max_log_diff: float | None
    agreement: float
    num_examples: int
    split: str
    score: ScoreDrop
    cases: Sequence[dict[str, Any]]
    rules: ParityRules
    pixel_agreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data; fields of the score have its name: accuracy, run_accuracy and so on."""
        name = self.rules.score
        return {
            "max_abs_diff": self.max_abs_diff,
            "max_log_diff": self.max_log_diff,
            "agreement": self.agreement,
            **({} if self.pixel_agreement is None else {"pixel_agreement": self.pixel_agreement}),
            "num_examples": self.num_examples,
            "split": self.split,
            name: self.score.artifact,
            f"run_{name}": self.score.run,
            f"{name}_drop": self.score.drop,
            f"{name}_drop_interval": self.score.interval,
            "cases": self.cases,
        }


def compare(artifact: Artifact, proof: Proof, rules: ParityRules) -> Parity:
    """Have an artifact compute in its own runtime everything that the proof holds."""
    cases = [proof.real, *proof.edges, *(proof.other_sizes if artifact.description.any_size else ())]
    found = [artifact.outputs(case.images) for case in cases]
    for case, outputs in zip(cases, found, strict=True):
        _check_form(outputs, case)
    differences = [rules.difference(outputs, case.expected) for case, outputs in zip(cases, found, strict=True)]
    rows: dict[str, dict[str, Any]] = {}
    for case, difference in zip(cases, differences, strict=True):
        _add(rows.setdefault(case.name, {"case": case.name, "num_images": 0}), difference)
    agreeing = differences[0].agreeing
    logs = [row["max_log_diff"] for row in rows.values()]
    targets = proof.real.targets
    assert targets is not None  # noqa: S101 - real examples have theirs
    return Parity(
        max_abs_diff=max(row["max_abs_diff"] for row in rows.values()),
        max_log_diff=None if None in logs else max(logs),
        agreement=rows[proof.real.name]["agreement"],
        num_examples=len(targets),
        split=proof.split.name,
        score=rules.score_drop(found[0], proof.real.expected, targets, _options(artifact)),
        cases=list(rows.values()),
        rules=rules,
        pixel_agreement=None if agreeing is None else float(agreeing.mean()),
    )


def _options(artifact: Artifact) -> PredictionOptions:
    about = artifact.description
    return PredictionOptions(artifact.classes, (about.height, about.width), about.fit)


def check(parity: Parity, tolerance: Tolerance, what: str) -> None:
    """Refuse an artifact that differs by more than it may.

    Raises:
        ExportError: With the numbers.
    """
    if tolerance.max_abs_diff is not None:
        _check_outputs(parity, tolerance.max_abs_diff, tolerance.max_log_diff, what)
    if parity.score.drop > tolerance.max_drop:
        unit = "points" if parity.rules.is_share else "hundredths"
        raise ExportError(
            f"{what} is worse than the run: {_worse(parity, tolerance.max_drop)}",
            f"No artifact was saved. --max-drop sets the allowed drop in {unit}.",
        )


def _check_outputs(parity: Parity, limit: float, log_limit: float | None, what: str) -> None:
    rules, differs = parity.rules, f"{what} predicts differently from the run:"
    hint = f"No artifact was saved. {rules.advice}".rstrip()
    if not parity.max_abs_diff <= limit:
        worst = max(parity.cases, key=lambda row: float(row["max_abs_diff"]))
        raise ExportError(
            f"{differs} {rules.value} differs by {parity.max_abs_diff:.2g} "
            f"({worst['case']}; allowed: {limit:.0e}); {parity.agreement:.2%} of {parity.num_examples:,} examples "
            f"have the same {rules.prediction}",
            hint,
        )
    if log_limit is not None and parity.max_log_diff is not None and not parity.max_log_diff <= log_limit:
        raise ExportError(
            f"{differs} {rules.value} is off by {parity.max_log_diff:.2%} of its value (allowed: {log_limit:.1%})",
            hint,
        )
    other = [row["case"] for row in parity.cases if row["agreement"] < 1]
    if other:
        raise ExportError(f"{differs} its {rules.prediction} differs ({', '.join(other)})", hint)


def _worse(parity: Parity, allowed: float) -> str:
    """Return both scores, the drop and what was allowed; shares in percent and points."""
    score, name = parity.score, parity.rules.score.replace("_", " ")
    low, high = score.interval
    if parity.rules.is_share:
        return (
            f"{name} {score.artifact:.2%} instead of {score.run:.2%}, {100 * score.drop:.2f} points "
            f"(95 % interval {100 * low:.2f} to {100 * high:.2f}); allowed: {100 * allowed:.2f}"
        )
    return (
        f"{name} {score.artifact:.4g} instead of {score.run:.4g} "
        f"(95 % interval of the difference {low:.4g} to {high:.4g}); allowed: {allowed:.4g}"
    )


def check_description(found: Description, expected: Description, what: str) -> None:
    """Refuse an artifact that says other things of itself than the run: another class order, another size.

    Raises:
        ExportError: With the field.
    """
    for field, value in asdict(expected).items():
        if asdict(found)[field] != value:
            raise ExportError(f"{what} and the run differ in {field}", "No artifact was saved.")


def _check_form(outputs: NamedOutputs, case: Case) -> None:
    for name, expected in case.expected.items():
        found = outputs[name].shape if name in outputs else None
        if found is None:
            raise ExportError(f'the artifact has no output "{name}"', "No artifact was saved.")
        if found != expected.shape:
            raise ExportError(
                f"the artifact returns shape {found} for {case.name}, expected {expected.shape}",
                "No artifact was saved.",
            )


def _add(row: dict[str, Any], found: Difference) -> None:
    """Add a case to the row of its kind."""
    before, number = row["num_images"], len(found.same)
    row["max_abs_diff"] = max(row.get("max_abs_diff", 0.0), found.max_abs_diff)
    row["max_log_diff"] = None if found.max_log_diff is None else max(row.get("max_log_diff", 0.0), found.max_log_diff)
    row["agreement"] = (row.get("agreement", 0.0) * before + float(found.same.sum())) / (before + number)
    row["num_images"] = before + number
