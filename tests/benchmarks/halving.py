"""What halving costs and saves: the best trial of a search with it next to the best of the full search.

    python tests/benchmarks/halving.py digits
    python tests/benchmarks/halving.py mnist --path mnist.npz
    python tests/benchmarks/halving.py mnist --path mnist.npz --examples 5000 --seeds 1 --trials 9 --epochs 3

Each seed is a search of its own, with values drawn at random. All its trials are trained to their end, one after the
other in one process. Halving trains the first epochs of the same trainings, for a run that stops at a rung goes on to
the same bits: so its decisions and its steps are read from the same runs, by what `cnn sweep show` reads them with.
Wanted is a best trial within 0.2 points of the full search's in at most 40 % of its steps. `--runs-dir` keeps the runs;
the same command goes on from them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from cnncli.engine.training.divergence import DivergedError
from cnncli.engine.training.train import resume, train
from cnncli.report.grid import Column, Grid
from cnncli.runs.events import Silence
from cnncli.sweeps.directory import SweepDirectory
from cnncli.sweeps.results import Results, results
from cnncli.sweeps.spec import Sweep, load_sweep
from cnncli.sweeps.study import Study

BASES = {"digits": ("digits_lenet", "validation: 0.3"), "mnist": ("mnist_lenet5", "validation: 0.1")}
"""The config that is varied, and its validation split: of the few digits, a larger share tells trials apart."""

SEARCH = """\
name: {name}
extends: {base}
data: {{{data}}}
train: {{epochs: {epochs}, keep_proof: false, checkpoint: {{keep: 2}}}}
sweep:
  space:
    train.optimizer: [SGD, Adam]
    train.optimizer.SGD.learning_rate: {{log: [1e-3, 1]}}
    train.optimizer.SGD.momentum: {{float: [0, 0.95]}}
    train.optimizer.Adam.learning_rate: {{log: [1e-4, 1e-1]}}
    train.batch_size: {{int: [32, 512], log: true}}
    "model.layers[0].Conv2D.filters": {{int: [4, 16], step: 4}}
  sampler: random
  seed: {seed}
  trials: {trials}
  parallel: {trials}
  threads: {threads}
  prune: {{halving: {{first: {first}, factor: {factor}}}}}
"""


class Compared(NamedTuple):
    """A search with halving and the full one.

    Attributes:
        seed: Its seed.
        full: Validation accuracy of the best trial of all.
        halved: That of the best of those that halving trains to the end.
        share: Steps that halving takes, as a share of those of the full search.
    """

    seed: int
    full: float
    halved: float
    share: float

    @property
    def points(self) -> float:
        """How much worse halving's best trial is, in points."""
        return 100 * (self.full - self.halved)


def search(asked: argparse.Namespace, seed: int, folder: Path) -> Sweep:
    """Return the search of one seed."""
    base, data = BASES[asked.data]
    data += "" if asked.path is None else f", path: {_examples(asked, folder)}"
    given = {**vars(asked), "name": f"{asked.data}-{seed}", "base": base, "data": data, "seed": seed}
    file = folder / f"{asked.data}-{seed}.yaml"
    file.write_text(SEARCH.format(**given), encoding="utf-8")
    return load_sweep(file)


def _examples(asked: argparse.Namespace, folder: Path) -> Path:
    """Return a file with the first training examples of an .npz, or that itself."""
    if asked.examples is None:
        return Path(asked.path).absolute()
    file = folder / f"first-{asked.examples}.npz"
    if not file.exists():
        with np.load(asked.path) as arrays:
            kept = {name: arrays[name][: asked.examples if "train" in name else None] for name in arrays.files}
        np.savez(file, **kept)
    return file.absolute()


def train_all(directory: SweepDirectory) -> None:
    """Train every trial that is not done yet to its end."""
    study = Study(directory.sweep)
    while (step := study.next({})) is not None:
        proposal, config = step
        trial = directory.add(proposal, config)
        if config is not None and trial.read().state not in ("done", "failed"):
            named, begun = config.model_copy(update={"name": trial.path.name}), trial.run_of(trial.parts[0])
            try:
                if begun is None:
                    train(named, directory.path, Silence())
                else:
                    resume(begun, begun.config(), Silence())
            except DivergedError:
                print(f"trial {proposal.number} diverged", flush=True)


def compared(asked: argparse.Namespace, folder: Path) -> Iterator[Compared]:
    """Yield what came of each seed."""
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        sweep = search(asked, seed, folder)
        directory = SweepDirectory.begin(sweep, folder, asked.threads)
        begun = time.perf_counter()
        train_all(directory)
        full = results(SweepDirectory(directory.path, sweep.with_settings(prune=None)))
        halved = results(directory)
        found = Compared(seed, best_value(full), best_value(halved), halved.share_of_steps or 0.0)
        seconds = time.perf_counter() - begun
        print(f"seed {seed}: {found.points:.2f} points, {found.share:.0%} of the steps ({seconds:.0f} s)", flush=True)
        yield found


def best_value(found: Results) -> float:
    """Return the accuracy of the best trial."""
    values = found.trials[found.best[0]].values
    assert values is not None
    return values["accuracy"]


def table(found: list[Compared]) -> Grid:
    """Return a row for each seed, and the means."""
    columns = tuple(map(Column, ("seed", "full search", "halving", "points less", "share of steps")))
    means = Compared(0, *(fmean(getattr(each, name) for each in found) for name in ("full", "halved", "share")))
    rows = [(str(each.seed), each) for each in found] + [("mean", means)]
    return Grid(columns, [(name, *_cells(each)) for name, each in rows])


def _cells(each: Compared) -> tuple[str, ...]:
    return f"{each.full:.2%}", f"{each.halved:.2%}", f"{each.points:.2f}", f"{each.share:.1%}"


def main() -> None:
    """Run the searches and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=BASES)
    parser.add_argument("--path", help="an .npz with the examples")
    parser.add_argument("--examples", type=int, help="training examples that are taken of it; all by default")
    for name, default in (("seeds", 5), ("first-seed", 0), ("trials", 27), ("epochs", 9), ("first", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--factor", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs-dir", type=Path)
    asked: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = asked.runs_dir or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        print("\n".join(table(list(compared(asked, folder))).lines()))


if __name__ == "__main__":
    main()
