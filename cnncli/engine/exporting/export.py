"""Write, prove, keep: one artifact after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnncli.datasets import Splits, own
from cnncli.engine.evaluation import proof_examples
from cnncli.engine.evaluation.trained import Trained, load_trained
from cnncli.engine.exporting import parity
from cnncli.engine.exporting.formats import FORMATS, Format, choose
from cnncli.engine.exporting.open import open_artifact
from cnncli.engine.exporting.parity import Parity
from cnncli.engine.exporting.proof import Proof, num_examples
from cnncli.engine.exporting.source import Source
from cnncli.errors import DataError, ExportError
from cnncli.files import durable, folders
from cnncli.plural import counted
from cnncli.runs.run import Run
from cnncli.serving.proven import digest, files_of, record_of
from cnncli.serving.wanted import Wanted

Note = Callable[[str], None]
"""Hears what is left out, and why."""


@dataclass(frozen=True)
class Kept:
    """An artifact and the proof that it predicts what its run predicts.

    Attributes:
        format: The format.
        path: File or directory.
        sha256: Digest of the file, or of a directory's names and files in their order.
        bytes: Size of all files.
        parity: Its outputs beside the run's.
        kept_examples: Whether the real examples of the proof are only those that the run keeps.
    """

    format: Format
    path: Path
    sha256: str
    bytes: int
    parity: Parity
    kept_examples: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn export --json`, and of the parity record."""
        return {
            "format": self.format.kind,
            "quantize": self.format.quantize,
            "path": str(self.path),
            "sha256": self.sha256,
            "bytes": self.bytes,
            "tolerance": self.format.tolerance.max_abs_diff,
            "max_drop": self.format.tolerance.max_drop,
            "kept_examples": self.kept_examples,
            **self.parity.to_json(),
        }


def export(run: Run, wanted: Wanted, note: Note) -> Iterator[Kept]:
    """Write a run's network in each format under its `export/`, and prove each one.

    Args:
        run: The run.
        wanted: Formats and checkpoint.
        note: Hears which of all formats are left out, and why.

    Yields:
        Each artifact when it is proven.

    Raises:
        ExportError: Before anything is written, if a format cannot hold the network; if an artifact
            predicts differently from the run, and then nothing of it is left.
    """
    run.own(run.export_dir)
    trained = load_trained(run, wanted.checkpoint)
    source = load_source(run, trained, wanted.data, note)
    formats = _possible(source, wanted, note)
    try:
        durable.make_directories(run.export_dir)
    except OSError as error:
        raise ExportError(f"{run.export_dir} cannot be made: {error.strerror}") from error
    run.remove_leftovers()
    scored = any(kind.tolerance.max_abs_diff is None for kind in formats)
    number = num_examples(source, scored)
    proofs: dict[tuple[str, int], Proof] = {}
    for kind in formats:
        own = source.in_float32() if kind.float32 else source
        # The run itself is the truth wherever it computes in the same precision.
        truth = source if own.description.precision == source.description.precision else own
        key = truth.description.precision, kind.num_examples(source, number)
        proof = proofs.setdefault(key, Proof(truth, key[1]))
        yield write_one(run, own, kind, proof)


def load_source(run: Run, trained: Trained, data: Path | None, note: Note) -> Source:
    """Return the network with the run's data; where they are missing, with the examples that the run keeps."""
    try:
        return Source.of(run, trained, own(trained.config, run.passport(), data))
    except DataError as error:
        if data is not None:
            raise
        kept = proof_examples.load(run, trained.config, trained.classes)
        if kept is None:
            raise DataError(f"{error.message}, and the run keeps no examples to prove an export", error.hint) from error
        note(f"{error.message}; checked on the {counted(len(kept), 'example')} that the run keeps")
    return Source.of(run, trained, Splits(trained.classes, kept, None, None), kept=True)


def _possible(source: Source, wanted: Wanted, note: Note) -> list[Format]:
    """Return the formats to write; what cannot be is an error, or a note where all were asked for."""
    asked = choose(wanted.kinds, wanted.quantize) if wanted.kinds else FORMATS
    possible = []
    for kind in asked:
        obstacle = kind.obstacle(source)
        if obstacle is None:
            possible.append(_with_drop(kind, wanted.max_drop))
        elif wanted.kinds:
            raise ExportError(*obstacle)
        else:
            note(f"{kind.title} skipped: {obstacle[0]}" + (f" ({obstacle[1]})" if obstacle[1] else ""))
    return possible


def _with_drop(kind: Format, max_drop: float | None) -> Format:
    if max_drop is None or kind.quantize is None:
        return kind
    return replace(kind, tolerance=replace(kind.tolerance, max_drop=max_drop))


def write_one(run: Run, source: Source, kind: Format, proof: Proof) -> Kept:
    """Write one artifact, prove it, and only then give it its name."""
    target = run.export_dir / f"{run.name}{kind.suffix}"
    try:
        with folders.work_folder(run.export_dir) as folder:
            description = replace(source.description, any_size=kind.resizes(source.config.data))
            kind.write(source, description, folder / target.name)
            kept = prove(kind, folder / target.name, source, proof)
            # A kill in between leaves an artifact without a record, never with another's.
            record_of(target).unlink(missing_ok=True)
            folders.put(folder / target.name, target)
    except OSError as error:
        raise ExportError(
            f"{target} cannot be written: {error.strerror or error}", "Check that the disk is not full."
        ) from error
    kept = replace(kept, path=target)
    run.write_json(record_of(target), _record(kept, source))
    return kept


def prove(kind: Format, path: Path, source: Source, proof: Proof) -> Kept:
    """Open an artifact in its own runtime and hold it against the run.

    Raises:
        ExportError: If it differs by more than the format's tolerance, or says other things of itself.
    """
    artifact = open_artifact(path)
    expected = replace(source.description, any_size=kind.resizes(source.config.data))
    parity.check_description(artifact.description, expected, kind.title)
    compared = parity.compare(artifact, proof, source.task.parity)
    parity.check(compared, kind.tolerance, kind.title)
    return Kept(kind, path, digest(path), _size(path), compared, source.kept)


def _record(kept: Kept, source: Source) -> dict[str, Any]:
    about = source.description
    origin = ("run", "checkpoint", "config_sha256", "data_content_hash", "data_split_hash", "precision", "versions")
    return {**kept.to_json(), **{field: getattr(about, field) for field in origin}}


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in files_of(path))
