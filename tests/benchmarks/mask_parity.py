"""Pixels to which each exported format of a segmentation run gives the run's class, and the mean IoU that it loses.

    python tests/benchmarks/mask_parity.py RUN [--split test] [--number N] [--formats keras web …] [--runs-dir runs]

Writes each format into a folder that goes away again, lets its own runtime compute the split's images as they come, and
holds it against the run's own network: "agree" is the share of pixels of the output `mask`, of all images together and
with ties not excused; the mean IoU is what `cnn eval` measures, in the images' own pixels. Of every format 99.99 % of
the pixels must agree; a quantised one may lose a point of mean IoU instead. The exit status is 1 where that is not so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.splits import Split
from cnncli.serving.evaluate import _of_one_size
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.parity import AGREEING

MOST_LOST = 0.01
"""Of mean IoU, by a quantised network."""

TOGETHER = 16


@dataclass(frozen=True)
class Answer:
    """What a network makes of a split.

    Attributes:
        masks: Class of each pixel that the network reads, uint8 (images, height, width).
        mean_iou: In the images' own pixels.
    """

    masks: npt.NDArray[np.uint8]
    mean_iou: float


@dataclass(frozen=True)
class Figures:
    """A format beside its run.

    Attributes:
        title: The format and how it is quantised.
        quantised: Whether it is.
        num_pixels: Pixels compared.
        agreeing: Share of them with the run's class.
        mean_iou: Of the format.
        lost: How much less that is than the run's.
    """

    title: str
    quantised: bool
    num_pixels: int
    agreeing: float
    mean_iou: float
    lost: float

    @property
    def holds(self) -> bool:
        """Whether it agrees as far as it must."""
        return self.lost <= MOST_LOST if self.quantised else self.agreeing >= AGREEING

    def line(self) -> str:
        """Return the figures as a line."""
        verdict = "" if self.holds else "  TOO LITTLE"
        return (
            f"{self.title:<15} {100 * self.agreeing:9.4f} % of {self.num_pixels:,} pixels agree   "
            f"mean IoU {self.mean_iou:.4f}, lost {100 * self.lost:+.2f} points{verdict}"
        )


def answer(network: Any, source: Any, split: Split) -> Answer:
    """Return what something with `outputs`, a run's network or an artifact, makes of a split."""
    about = source.description
    options = PredictionOptions(about.classes, (about.height, about.width), about.fit)
    evaluator, masks, first = source.task.evaluator(split.name, options), [], 0
    for images in _of_one_size(split, TOGETHER):
        found = network.outputs(images)
        masks.append(found["mask"])
        evaluator.update_exported(found, split.targets.take(np.arange(first, first + len(images))))
        first += len(images)
    return Answer(np.concatenate(masks), evaluator.result().scalars()["mean_iou"])


def compare(source: Any, split: Split, formats: Sequence[Any], folder: Path) -> Iterator[Figures | str]:
    """Yield the figures of each format, or why there are none."""
    from cnncli.engine.exporting.open import open_artifact

    runs: dict[str, Answer] = {}
    for kind in formats:
        obstacle = kind.obstacle(source)
        if obstacle is not None:
            yield f"{kind.title:<15} cannot be written: {obstacle[0]}"
            continue
        own = source.in_float32() if kind.float32 else source
        description = replace(own.description, any_size=kind.resizes(own.config.data))
        path = folder / f"net{kind.suffix}"
        kind.write(own, description, path)
        # As the gate does: a format that computes in float32 is held against the network in float32.
        if description.precision not in runs:
            runs[description.precision] = answer(own, own, split)
        run, found = runs[description.precision], answer(open_artifact(path), own, split)
        agreeing = float((found.masks == run.masks).mean())
        lost = run.mean_iou - found.mean_iou
        yield Figures(kind.title, kind.quantize is not None, run.masks.size, agreeing, found.mean_iou, lost)


def main() -> None:
    """Print the figures of each format."""
    from cnncli.datasets import own
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.exporting.formats import FORMATS
    from cnncli.engine.exporting.source import Source
    from cnncli.runs.find import find

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--split", default="test")
    parser.add_argument("--number", type=int, help="images; by default all")
    parser.add_argument("--formats", nargs="*", help="by default all")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    run = find(asked.run, asked.runs_dir)
    trained = load_trained(run)
    source = Source.of(run, trained, own(trained.config, run.passport(), None))
    split = source.splits.named(asked.split)
    if asked.number is not None:
        split = split.take(np.arange(min(asked.number, len(split))), split.name)
    formats = [kind for kind in FORMATS if not asked.formats or kind.kind in asked.formats]
    failed = False
    with TemporaryDirectory() as folder:
        for found in compare(source, split, formats, Path(folder)):
            print(found if isinstance(found, str) else found.line(), flush=True)
            failed |= isinstance(found, Figures) and not found.holds
    sys.exit(failed)


if __name__ == "__main__":
    main()
