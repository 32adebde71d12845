"""The advice of `cnn find-lr` against the best of a grid of rates, for six configs that differ and many seeds.

    python tests/campaigns/find_lr.py --seeds 50 --mnist mnist.npz --cifar cifar-10-python.tar.gz

For each config, the best rate is that with the least validation loss after a short training of so many steps with the
config's own schedule, as a mean over `GRID_SEEDS` seeds (a training that diverges has an infinite loss). Many rates are
as good as the best for all that a few seeds can tell: every rate counts as best whose mean is at most one standard
error of the difference above the least. Then `cnn find-lr` searches once for each of the seeds: other first weights,
another order of the examples. An advice is right if one of the best rates is at most a factor 3 away; no advice is a
miss. How many are within a factor 3 of the one rate with the least loss is printed beside it. Neighbouring rates of the
grid differ by a factor of 10^(1/3).

A config's network is built and traced once, in one process; a seed gives its variables their values.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from cnncli.config.load import load, loads
from cnncli.config.schema.schema import Config

FACTOR = 3.0
"""How far an advice may be from one of the best rates."""

GRID = 10.0 ** (np.arange(-12, 4) / 3)
"""1e-4 to 10."""

GRID_SEEDS = 3
MOST_EXAMPLES = 2560
"""Training examples; of a larger set, as many spread evenly over it."""

CONFIGS: dict[str, str] = {
    # LeNet as it is shipped: Adam, moved images, dropout, warm-up and cosine.
    "digits_lenet": "",
    "momentum": """
data: {source: digits, image_size: [16, 16], validation: 0.2}
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 5, activation: relu}
    - MaxPooling2D
    - Conv2D: {filters: 16, kernel_size: 3, activation: relu}
    - Flatten
    - Dense: {units: 64, activation: relu}
    - Dense: {units: 10}
train: {epochs: 10, batch_size: 64, optimizer: {SGD: {learning_rate: 0.01, momentum: 0.9}}}
""",
    "dense": """
data: {source: digits, image_size: [8, 8], validation: 0.2}
model:
  layers:
    - Flatten
    - Dense: {units: 128, activation: tanh}
    - Dense: {units: 64, activation: tanh}
    - Dense: {units: 10}
train: {epochs: 10, batch_size: 32, optimizer: {SGD: {learning_rate: 0.1}}}
""",
    "batch_normalization": """
data: {source: digits, image_size: [12, 12], validation: 0.2, augmentation: [MixUp]}
model:
  layers:
    - Conv2D: {filters: 16, kernel_size: 3, use_bias: false}
    - BatchNormalization: {momentum: 0.9}
    - ReLU
    - Conv2D: {filters: 32, kernel_size: 3, strides: 2, use_bias: false}
    - BatchNormalization: {momentum: 0.9}
    - ReLU
    - GlobalAveragePooling2D
    - Dense: {units: 10}
train: {epochs: 10, batch_size: 64, optimizer: {AdamW: {weight_decay: 1e-2}}, schedule: CosineDecay}
""",
    # LeNet-5 on other images, with its own Adam and schedule.
    "mnist_lenet5": "",
    "cifar": """
data: {source: cifar10, image_size: [32, 32], channels: 3, validation: 0.1}
model:
  layers:
    - Conv2D: {filters: 16, kernel_size: 3, strides: 2, activation: relu}
    - Conv2D: {filters: 32, kernel_size: 3, activation: relu}
    - MaxPooling2D
    - Conv2D: {filters: 32, kernel_size: 3, activation: relu}
    - Flatten
    - Dense: {units: 64, activation: relu}
    - Dropout: {rate: 0.2}
    - Dense: {units: 10}
train: {epochs: 5, batch_size: 64, optimizer: {RMSprop: {learning_rate: 1e-3}}}
""",
}
"""The experiments; an empty text is a config of that name in the zoo."""

CHANGES: dict[str, list[str]] = {
    "digits_lenet": ["data.image_size=[20, 20]", "train.epochs=10"],
    "mnist_lenet5": ["train.epochs=5", "train.batch_size=64"],
}


def config_of(name: str, seed: int = 0, path: str | None = None) -> Config:
    """Return one of the configs with a seed, and with its data at a path where one is told."""
    changes = [*CHANGES.get(name, ()), f"seed={seed}"]
    if path is not None:
        changes += [f"data.path={path}", *(["data.source=folder"] if path.endswith(".zip") else [])]
    return loads(f"name: {name}{CONFIGS[name]}", name, changes) if CONFIGS[name] else load(name, changes)


class Laboratory:
    """A config's network and examples, to be trained from different seeds at different rates.

    Args:
        name: Of the config.
        path: Its data, where the source does not find them.
    """

    def __init__(self, name: str, path: str | None = None) -> None:
        from cnncli.datasets import load as load_splits
        from cnncli.engine.evaluation.predictor import Predictor
        from cnncli.engine.input_pipeline.feed import cached, even
        from cnncli.engine.runtime import configure
        from cnncli.engine.training.setup import Setup

        self._name, self._path = name, path
        config = config_of(name, path=path)
        configure(config)
        splits = load_splits(config)
        few = [split.take(even(len(split), MOST_EXAMPLES).astype(np.int64), split.name) for split in splits.present()]
        splits = replace(splits, **{split.name: split for split in few})
        self._setup = Setup.of(config, splits)
        self._first_state: dict[str, np.ndarray] = {}
        assert splits.validation is not None
        self._validation = cached(splits.validation, self._setup.loop.preprocessing)
        self._predictor = Predictor(self._setup.model, self._setup.loop.preprocessing)

    def begin(self, seed: int) -> Any:
        """Return the setup with the first weights and the order of the examples that a seed gives."""
        from cnncli.engine.input_pipeline.feed import make_feed
        from cnncli.engine.training.setup import make_step_loop

        if seed != self._setup.config.seed or not self._first_state:
            old, config = self._setup, config_of(self._name, seed, self._path)
            feed = make_feed(old.splits.train, old.loop.preprocessing, seed, config.train.batch_size)
            self._setup = replace(old, config=config, feed=feed)
            self._first_state = make_step_loop(config, old.splits).state()
        self._setup.loop.restore(self._first_state)
        self._setup.begin()
        return self._setup

    def search(self, seed: int) -> Any:
        """Return what `cnn find-lr` finds with a seed."""
        from cnncli.engine.training.find_lr import search

        return search(self.begin(seed), np.geomspace(1e-6, 10.0, 200))

    def loss(self, rate: float, seed: int) -> float:
        """Return the validation loss after a training at a rate; infinite where it diverged."""
        setup = self.begin(seed)
        factor = rate / float(setup.loop.updates.base_rates[0])
        for epoch in range(setup.config.train.epochs):
            batch = 0
            while batch < setup.steps_per_epoch:
                chunk = setup.feed.chunk(epoch, batch, setup.steps_per_epoch)
                first = epoch * setup.steps_per_epoch + batch
                losses = setup.loop.run(chunk, setup.rates(first, len(chunk.plan), factor), first)
                if len(losses) < len(chunk.plan):
                    return float("inf")
                batch += len(losses)
        logits = self._predictor.logits(self._validation.images).astype(np.float64)
        right = logits[np.arange(len(logits)), self._validation.targets.strata()]
        loss = float(np.mean(np.logaddexp.reduce(logits, axis=1) - right))
        return loss if np.isfinite(loss) else float("inf")


@dataclass(frozen=True)
class Grid:
    """What trainings at the rates of the grid came to.

    Attributes:
        rates: The rates.
        losses: Validation losses, (rates, seeds).
    """

    rates: np.ndarray
    losses: np.ndarray

    @property
    def best(self) -> float:
        """The rate with the least mean loss."""
        return float(self.rates[int(np.argmin(self.losses.mean(axis=1)))])

    @property
    def equally_good(self) -> np.ndarray:
        """The rates whose mean loss is at most one standard error of the difference above the least."""
        differences = self.losses - self.losses[int(np.argmin(self.losses.mean(axis=1)))]
        with np.errstate(invalid="ignore"):
            error = np.std(differences, axis=1, ddof=1) / np.sqrt(differences.shape[1])
            return np.asarray(self.rates[np.mean(differences, axis=1) <= error])


def is_near(advice: float | None, rates: np.ndarray | float) -> bool:
    """Say whether an advice is at most a factor 3 from one of the rates."""
    return advice is not None and bool(np.min(np.abs(np.log(np.asarray(rates) / advice))) <= np.log(FACTOR))


@dataclass(frozen=True)
class Row:
    """One config's advice.

    Attributes:
        name: Of the config.
        grid: The rates and their losses.
        advice: The rate suggested with each seed, or None.
    """

    name: str
    grid: Grid
    advice: list[float | None]

    @property
    def num_right(self) -> int:
        """How many are at most a factor 3 from a rate that is as good as the best."""
        return sum(is_near(rate, self.grid.equally_good) for rate in self.advice)

    def text(self) -> str:
        """Return the line of the table."""
        good, told = self.grid.equally_good, [rate for rate in self.advice if rate is not None]
        rates = f"{median(told):.1e} ({min(told):.1e} to {max(told):.1e})" if told else "none"
        strict = sum(is_near(rate, self.grid.best) for rate in self.advice)
        best = f"{self.grid.best:.1e} ({good.min():.1e} to {good.max():.1e})"
        silent = len(self.advice) - len(told)
        return f"{self.name:20} {best:30} {rates:30} {self.num_right:5} {strict:7} {silent:6} {len(self.advice):6}"


HEADER = (
    f"{'config':20} {'best rate (equally good)':30} {'advice (least to most)':30} {'right':>5} {'of best':>7}"
    f" {'silent':>6} {'seeds':>6}"
)


def rows(names: list[str], num_seeds: int, paths: dict[str, str | None]) -> Iterator[Row]:
    """Yield each config's row."""
    for name in names:
        laboratory = Laboratory(name, paths.get(name))
        losses = [[laboratory.loss(rate, seed) for rate in GRID.tolist()] for seed in range(GRID_SEEDS)]
        advice = [laboratory.search(seed).suggested for seed in range(num_seeds)]
        yield Row(name, Grid(GRID, np.array(losses).T), advice)


def main() -> int:
    """Run the campaign; return 1 if fewer than 95 of 100 advices are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"configs, by default all: {', '.join(CONFIGS)}")
    parser.add_argument("--seeds", type=int, default=50, help="searches a config (default 50)")
    parser.add_argument("--mnist", help="mnist.npz, where it cannot be downloaded")
    parser.add_argument("--cifar", help="CIFAR-10's archive, or a zip of it as images in class folders")
    arguments = parser.parse_args()
    found = []
    print(HEADER, flush=True)
    paths = {"mnist_lenet5": arguments.mnist, "cifar": arguments.cifar}
    for row in rows(arguments.names or list(CONFIGS), arguments.seeds, paths):
        print(row.text(), flush=True)
        found.append(row)
    number, right = sum(len(row.advice) for row in found), sum(row.num_right for row in found)
    print(f"{right} of {number} ({right / number:.1%}) within a factor {FACTOR:g} of a rate as good as the best")
    return int(right < 0.95 * number)


if __name__ == "__main__":
    sys.exit(main())
