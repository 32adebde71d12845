"""LiteRT files, run by ai-edge-litert."""

from __future__ import annotations

from pathlib import Path

from cnncli.config.schema.tasks import TASKS
from cnncli.errors import ExportError
from cnncli.files.archives import open_zip, read_member
from cnncli.serving import runtimes
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.child import Child
from cnncli.serving.description import AGAIN, CLASSES_FILE, FILE, MOST_BYTES, Description, missing
from cnncli.serving.packages import require
from cnncli.serving.quiet import quiet
from cnncli.tasks.outputs import NamedOutputs


def open_litert(path: Path) -> Artifact:
    """Open a LiteRT file that is ours, in this process.

    Raises:
        ExportError: If ai-edge-litert is not installed, or the file is damaged or says nothing about itself.
    """
    require("ai_edge_litert")
    description = _description(path)
    with quiet():
        try:
            session = runtimes.litert(str(path))
        except (OSError, ValueError, RuntimeError) as error:
            raise ExportError(f"LiteRT cannot run {path}: {str(error)[:200]}") from error

    shape: tuple[int, ...] = ()

    def compute(images: Pixels) -> NamedOutputs:
        nonlocal shape
        if images.shape == shape:
            return _named(session.compute(images), description, path)
        with quiet():  # Laid out anew, the interpreter greets again.
            found = _named(session.compute(images), description, path)
        shape = images.shape
        return found

    return Artifact("litert", description, compute)


def from_child(child: Child, path: Path) -> Artifact:
    """Return the LiteRT file that a child process has been started for.

    Raises:
        ExportError: As `open_litert`; if it takes more than it may.
    """
    description = _description(path)
    child.open()
    return Artifact("litert", description, lambda images: _named(child.compute(images), description, path))


def _named(outputs: runtimes.Named, description: Description, path: Path) -> NamedOutputs:
    """Return outputs under their names: LiteRT does not keep these, only the order."""
    names = TASKS[description.task].output_names
    if len(names) != len(outputs):
        raise ExportError(f"{path} has {len(outputs)} outputs; expected {', '.join(names)}", AGAIN)
    return {name: array for name, (_, array) in zip(names, outputs, strict=True)}


def _description(path: Path) -> Description:
    """Return what the file says: LiteRT files carry others in a zip archive behind the network."""
    try:
        with open_zip(path) as archive:
            texts = [read_member(archive, name, MOST_BYTES) for name in (FILE, CLASSES_FILE)]
    except (OSError, KeyError):
        raise missing(str(path)) from None
    description = Description.from_json(texts[0], str(path))
    description.check_classes(texts[1], str(path))
    return description
