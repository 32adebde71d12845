"""Boxes and scores of each exported format of a detector beside its run's, of images of other sizes; the AP50 it loses.

    python tests/benchmarks/box_parity.py RUN [--data FILE] [--split test] [--number 72] [--formats keras web …]
        [--seed 0] [--runs-dir runs]

Writes each format into a folder that goes away again, and lets its own runtime compute the split's images, each resized
to a size of its own that the seed draws: from a fifth to one and a half of its height and width, up to twice as wide or
as tall as it was; the first has the network's size, the second is tiny. Each is held against the run's own network.

Each box of either is paired with that box of its class in the other which overlaps most. Printed are the least IoU of
all pairs and the largest difference of their scores. Boxes with scores below 0.01 are left out, and those whose score
is within 1e-5 of the last that a network returns: rounding decides which box is the last. AP50, the AP at IoU 0.5, is
what `cnn eval` measures, in the resized images' own pixels. Every format must have an IoU of 0.9999 and scores within
1e-5; a quantised one may lose two points of AP50 instead. The exit status is 1 where that is not so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.splits import Split, image
from cnncli.tasks.predictions import PredictionOptions

SAME_BOX, SAME_SCORE = 0.9999, 1e-5
MOST_LOST = 0.02
"""Of AP50, by a quantised network."""

LEAST_SCORE = 0.01
TINY = (9, 6)

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Resized:
    """Images, each of a size of its own, and their objects.

    Attributes:
        images: uint8 (height, width, channels) each.
        targets: Their objects, in the same pixels.
    """

    images: Sequence[np.ndarray]
    targets: Boxes

    @classmethod
    def of(cls, split: Split, number: int, network_size: tuple[int, int], seed: int) -> Resized:
        """Return the first images of a split in sizes that a seed draws."""
        generator, images, objects = np.random.default_rng(seed), [], []
        for row in range(min(number, len(split))):
            pixels, own = image(split, row), split.targets.read(row)
            scale, stretch = np.exp(generator.uniform(np.log([0.2, 0.7]), np.log([1.5, 1 / 0.7])))
            height, width = own.size
            drawn = max(1, round(height * scale * stretch)), max(1, round(width * scale / stretch))
            size = (network_size, TINY)[row] if row < 2 else drawn
            images.append(_resized(pixels, size))
            objects.append(_scaled(own, size))
        return cls(images, Boxes.of(objects))


def _resized(pixels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return an image in another height and width."""
    channels = pixels.shape[-1]
    picture = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR)).reshape(*size, channels)


def _scaled(own: Objects, size: tuple[int, ...]) -> Objects:
    """Return the objects of an image that has another height and width now."""
    down, along = size[0] / own.size[0], size[1] / own.size[1]
    corners = own.corners * np.array([along, down, along, down])
    return own._replace(corners=corners, areas=own.areas * down * along, size=(size[0], size[1]))


@dataclass(frozen=True)
class Answer:
    """What a network makes of images.

    Attributes:
        outputs: Of each image, as a batch of one.
        ap50: In the images' own pixels.
    """

    outputs: Sequence[Outputs]
    ap50: float


@dataclass(frozen=True)
class Figures:
    """A format beside its run.

    Attributes:
        title: The format and how it is quantised.
        quantised: Whether it is.
        num_boxes: Boxes compared, of the format and of the run.
        least_iou: Of all pairs.
        score_difference: Largest of all pairs.
        ap50: Of the format.
        lost: How much less that is than the run's.
    """

    title: str
    quantised: bool
    num_boxes: int
    least_iou: float
    score_difference: float
    ap50: float
    lost: float

    @property
    def holds(self) -> bool:
        """Whether it agrees as far as it must."""
        if self.quantised:
            return self.lost <= MOST_LOST
        return self.least_iou >= SAME_BOX and self.score_difference <= SAME_SCORE

    def line(self) -> str:
        """Return the figures as a line."""
        verdict = "" if self.holds else "  TOO LITTLE"
        return (
            f"{self.title:<15} {self.num_boxes:,} boxes: least IoU {self.least_iou:.7f}, scores differ by at most "
            f"{self.score_difference:.1e}   AP50 {self.ap50:.4f}, lost {100 * self.lost:+.2f} points{verdict}"
        )


def answer(network: Any, source: Any, examples: Resized) -> Answer:
    """Return what something with `outputs`, a run's network or an artifact, makes of images."""
    about = source.description
    options = PredictionOptions(about.classes, (about.height, about.width), about.fit)
    evaluator, found = source.task.evaluator("resized", options), []
    for row, pixels in enumerate(examples.images):
        found.append(network.outputs(pixels[None]))
        evaluator.update_exported(found[-1], examples.targets.take(np.array([row])))
    return Answer(found, evaluator.result().scalars()["ap50"])


def compared(one: Outputs, other: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """Return IoU and difference of scores for each box of `one` and its partner in `other`; IoU 0 without a partner."""
    (boxes, classes, scores), (others, their_classes, their_scores) = (
        [outputs[name][0].astype(np.float64) for name in ("boxes", "classes", "scores")] for outputs in (one, other)
    )
    last = max(float(scores.min(initial=1)), float(their_scores.min(initial=1)))
    chosen = scores > max(LEAST_SCORE, last + SAME_SCORE)
    boxes, classes, scores = boxes[chosen], classes[chosen], scores[chosen]
    if not len(their_scores):
        return np.zeros(len(scores)), scores
    apart = np.abs(scores[:, None] - their_scores)
    can_pair = (classes[:, None] == their_classes) & (their_scores > 0)
    shared = np.where(can_pair, _overlaps(boxes, others), 0.0)
    # Two boxes of a class may coincide: then the one whose score is nearer.
    partners = np.lexsort((apart, -shared), axis=1)[:, :1]
    return np.take_along_axis(shared, partners, axis=1)[:, 0], np.take_along_axis(apart, partners, axis=1)[:, 0]


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the IoU of each box with each other."""
    inner = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    shared = np.maximum(inner, 0.0).prod(axis=-1)
    own, theirs = ((corners[:, 2:] - corners[:, :2]).prod(axis=-1) for corners in (boxes, others))
    return shared / np.maximum(own[:, None] + theirs - shared, np.finfo(float).tiny)


def figures(title: str, quantised: bool, found: Answer, run: Answer) -> Figures:
    """Return the figures of a format."""
    pairs = [
        compared(*both)
        for own, other in zip(found.outputs, run.outputs, strict=True)
        for both in ((own, other), (other, own))
    ]
    ious, apart = (np.concatenate(column) for column in zip(*pairs, strict=True))
    least, most = float(ious.min(initial=1)), float(apart.max(initial=0))
    return Figures(title, quantised, len(ious), least, most, found.ap50, run.ap50 - found.ap50)


def compare(source: Any, examples: Resized, formats: Sequence[Any], folder: Path) -> Iterator[Figures | str]:
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
            runs[description.precision] = answer(own, own, examples)
        found = answer(open_artifact(path), own, examples)
        yield figures(kind.title, kind.quantize is not None, found, runs[description.precision])


def main() -> None:
    """Print the figures of each format."""
    from cnncli.datasets import own
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.exporting.formats import FORMATS
    from cnncli.engine.exporting.source import Source
    from cnncli.runs.find import find

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, help="where the run's images are now; by default as its config says")
    parser.add_argument("--split", default="test")
    parser.add_argument("--number", type=int, default=72)
    parser.add_argument("--formats", nargs="*", help="by default all")
    parser.add_argument("--seed", type=int, default=0, help="of the sizes")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    run = find(asked.run, asked.runs_dir)
    trained = load_trained(run)
    source = Source.of(run, trained, own(trained.config, run.passport(), asked.data))
    examples = Resized.of(source.splits.named(asked.split), asked.number, trained.config.data.image_size, asked.seed)
    formats = [kind for kind in FORMATS if not asked.formats or kind.kind in asked.formats]
    failed = False
    with TemporaryDirectory() as folder:
        for found in compare(source, examples, formats, Path(folder)):
            print(found if isinstance(found, str) else found.line(), flush=True)
            failed |= isinstance(found, Figures) and not found.holds
    sys.exit(failed)


if __name__ == "__main__":
    main()
