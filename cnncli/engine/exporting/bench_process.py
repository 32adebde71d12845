"""The process that measures an artifact with TensorFlow: `python -m cnncli.engine.exporting.bench_process PATH`."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

from cnncli.engine.exporting.open import open_artifact
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.bench_process import report
from cnncli.tasks.outputs import NamedOutputs


def _open(path: Path) -> Artifact:
    """Open an artifact; an exported script in this very process, where its memory is counted."""
    artifact = open_artifact(path)
    if artifact.format != "python":
        return artifact
    sys.path.insert(0, str(path))
    network = importlib.import_module("network")
    model = network.load()

    def compute(images: Pixels) -> NamedOutputs:
        found = network.predict(images, model)
        return found if isinstance(found, dict) else {"probabilities": found}

    return replace(artifact, runtime=compute)


if __name__ == "__main__":
    report(_open(Path(sys.argv[1])), Path(sys.argv[1]))
