"""The process that measures an artifact without TensorFlow: `python -m cnncli.serving.bench_process PATH`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from cnncli.resources import peak_memory
from cnncli.serving import web_page
from cnncli.serving.artifact import Artifact
from cnncli.serving.open import open_artifact

WARM_UP = 3
MOST_CALLS = 100
SECONDS = 3.0
"""Time given to each batch size."""


def report(artifact: Artifact, path: Path) -> None:
    """Print one line of JSON: latency of one and of 32 images, and the process's peak memory."""
    measured = web_page.measured(path) if artifact.format == "web" else None
    if measured is None:
        times = {str(size): _times(artifact, size) for size in (1, 32)}
        measured = {"times": times, "peak_memory_bytes": peak_memory()}
    latency = {size: _summary(times) for size, times in measured["times"].items()}
    sys.stdout.write(json.dumps({"latency": latency, "peak_memory_bytes": measured["peak_memory_bytes"]}) + "\n")


def _summary(times: list[float]) -> dict[str, Any]:
    median, p95 = np.percentile(times, [50, 95]).tolist()
    return {"median": median, "p95": p95, "num_calls": len(times)}


def _times(artifact: Artifact, size: int) -> list[float]:
    about = artifact.description
    shape = (size, about.height, about.width, about.channels)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for _ in range(WARM_UP):
        artifact.outputs(images)
    times: list[float] = []
    while len(times) < MOST_CALLS and (len(times) < 5 or sum(times) < SECONDS):
        start = perf_counter()
        artifact.outputs(images)
        times.append(perf_counter() - start)
    return times


if __name__ == "__main__":
    report(open_artifact(Path(sys.argv[1])), Path(sys.argv[1]))
