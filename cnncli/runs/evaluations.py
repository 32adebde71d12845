"""The evaluations that a run keeps, by split and checkpoint: the best checkpoint's have the plain names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cnncli.errors import RunError, WriteError
from cnncli.files import durable
from cnncli.files.form import number, optional
from cnncli.files.form import record as record_form
from cnncli.files.read import read_bytes, read_json
from cnncli.files.seal import unsealed
from cnncli.runs import limits, metrics
from cnncli.runs.documents import EVALUATION, checked
from cnncli.runs.run import Run, reason

log = logging.getLogger(__name__)

Rows = TypeVar("Rows")

Place = Callable[[str, str | None], Path]
"""Names a file by split and checkpoint: `Run.evaluation_file`, `predictions_file` or `invariance_file`."""


AGAIN = "`cnn eval` writes it again."


class KeptEvaluation(NamedTuple):
    """An evaluation on the disk.

    Attributes:
        document: What evaluation-<split>.json holds.
        predictions_file: The line for each example.
    """

    document: dict[str, Any]
    predictions_file: Path

    def rows(self, read: Callable[[Path], Rows | None]) -> Rows:
        """Return the lines for all examples.

        Args:
            read: What reads a task's file of predictions, None where there is no file.

        Raises:
            RunError: If there is none, or it cannot be read.
        """
        found = read(self.predictions_file)
        if found is None:
            raise RunError(f"{self.predictions_file} cannot be read: there is no such file", AGAIN)
        return found

    def check_predictions(self) -> None:
        """Refuse predictions that were changed after they were written; those of an earlier version have no checksum.

        Raises:
            RunError: If they are not those that the evaluation counted.
        """
        expected = self.document.get("predictions_sha256")
        try:
            if (
                expected is not None
                and _digest(read_bytes(self.predictions_file, limits.PREDICTIONS, follow=False)) != expected
            ):
                raise RunError(
                    f"{self.predictions_file} cannot be read: its checksum differs from the one in the evaluation",
                    AGAIN,
                )
        except FileNotFoundError:
            return
        except OSError as error:
            raise RunError(f"{self.predictions_file} cannot be read: {error.strerror}", AGAIN) from error


@contextmanager
def kept_if_possible(what: str, tell: Callable[[str], None] = log.warning) -> Iterator[None]:
    """Let what was measured be shown where its run cannot be written, and tell that it is not kept.

    Args:
        what: What the block writes, "the evaluation".
        tell: Hears it.
    """
    try:
        yield
    except WriteError as error:
        tell(f"{what} is not kept: {error.message}")


def checkpoint_name(run: Run, checkpoint: str) -> str | None:
    """Return the name of the checkpoint that "best", "last", a name or a path means; None where there is none."""
    if checkpoint not in ("best", "last"):
        return Path(checkpoint).name
    best = run.checkpoints.best_name() if checkpoint == "best" else None
    return best or next(reversed(run.checkpoints.names()), None)


def find_evaluation(run: Run, split: str, checkpoint: str | None) -> KeptEvaluation | None:
    """Return the evaluation that a run keeps of a split with a checkpoint, or None.

    Args:
        run: The run.
        split: The split's name, with what the evaluation's options add to it.
        checkpoint: The checkpoint's name; None takes the file of the plain name, whatever it was measured with.

    Raises:
        RunError: If a file is there but cannot be read.
    """
    for suffix in (None, checkpoint)[: 1 if checkpoint is None else 2]:
        file = run.evaluation_file(split, suffix)
        document = _read(file)
        if document is not None and document.get("split", split) != split:
            raise RunError(f"{file} cannot be read: it is the evaluation of {document['split']}", AGAIN)
        # A checkpoint's hint, {"checkpoint": …}, in its place would pass for an evaluation that measured nothing.
        if document is not None and not document.keys() - {"checkpoint"}:
            raise RunError(f"{file} cannot be read: it holds no evaluation", AGAIN)
        # Files without a checkpoint are from before it was recorded; they were the best one's.
        if document is not None and (checkpoint is None or document.get("checkpoint", checkpoint) == checkpoint):
            return KeptEvaluation(document, run.predictions_file(split, suffix))
    return None


def metrics_on_test(run: Run, record: Mapping[str, Any], evaluation: KeptEvaluation) -> dict[str, float | int | None]:
    """Return the metrics of an evaluation on the test split as "test_accuracy" and the like, the primary one first.

    Args:
        run: The run.
        record: What its run.json holds.
        evaluation: Of its test split.

    Raises:
        RunError: If the evaluation lacks one of the metrics that the run has.
    """
    wanted = tuple(dict.fromkeys((metrics.primary(record), *metrics.names(record))))
    form = record_form(dict.fromkeys(wanted, optional(number())))
    checked(evaluation.document, form, str(run.evaluation_file("test")), AGAIN)
    return {f"test_{name}": evaluation.document[name] for name in wanted}


def measured_checkpoints(run: Run, split: str) -> list[str]:
    """Return the names of the checkpoints that a split was measured with, as far as the run keeps it."""
    names = (None, *run.checkpoints.names())
    found = (_read(run.evaluation_file(split, name)) for name in names)
    return list(dict.fromkeys(document["checkpoint"] for document in found if document and "checkpoint" in document))


def keep_evaluation(run: Run, document: dict[str, Any], csv: str) -> None:
    """Write an evaluation and its predictions into the run; those of another checkpoint stay."""
    split, checkpoint = document["split"], document["checkpoint"]
    # The predictions are moved first: their checkpoint is known from the evaluation alone.
    predictions = file_of(run, run.predictions_file, split, checkpoint)
    evaluation = file_of(run, run.evaluation_file, split, checkpoint)
    run.write_text(predictions, csv)
    run.write_sealed(evaluation, {**document, "predictions_sha256": _digest(csv.encode("utf-8", "backslashreplace"))})


def file_of(run: Run, place: Place, split: str, checkpoint: str) -> Path:
    """Return the file for what is measured with a checkpoint, free of what another one left under that name."""
    if checkpoint != checkpoint_name(run, "best"):
        return place(split, checkpoint)
    plain = place(split, None)
    former = _checkpoint_of(run, place, split)
    if plain.exists() and former not in (None, checkpoint):
        try:
            durable.replace(plain, place(split, former))
        except OSError as error:
            raise WriteError(f"{plain} cannot be renamed: {error.strerror}") from error
    return plain


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _checkpoint_of(run: Run, place: Place, split: str) -> str | None:
    """Return the checkpoint of what has the plain name."""
    holder = run.evaluation_file if place == run.predictions_file else place
    try:
        return (_read(holder(split, None)) or {}).get("checkpoint")
    except RunError:
        return None


def _read(file: Path) -> dict[str, Any] | None:
    """Return the document of a file, or None where there is no file."""
    try:
        found: dict[str, Any] = unsealed(
            checked(read_json(file, limits.DOCUMENT, follow=False), EVALUATION, str(file), AGAIN)
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read: {reason(error)}", AGAIN) from error
    return found
