"""A run interrupted after each of its epochs: same learning rates, same last epoch, same best epoch, same bits?

    python tests/faults/resume_campaign.py [--epochs 30]

For plateau, early stopping, EMA, cosine and warm-up one run is trained; after every epoch its directory is
copied as it then is, as a power failure would leave it. Every copy is resumed to the end and compared.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from training_process import SMALL, differences, metrics

from cnncli.config.load import load
from cnncli.runs.events import EpochDone, Silence
from cnncli.runs.find import find
from cnncli.runs.run import Run

PLATEAU = "{monitor: validation_loss, patience: 2, min_delta: 0.05, factor: 0.5, cooldown: 1}"

VARIANTS = {
    "plateau": [f"train.schedule={{ReduceLROnPlateau: {PLATEAU}}}"],
    "early stopping": ["train.early_stopping={monitor: validation_loss, patience: 4, min_delta: 0.04}"],
    "ema": ["train.ema=0.99"],
    "cosine": ["train.schedule={CosineDecay: {alpha: 0.01}}", "train.optimizer={SGD: {momentum: 0.9}}"],
    "warm-up": ["train.schedule={CosineDecay: {warmup_epochs: 12.5}}"],
}


class Copies(Silence):
    """Copies a run's directory after every epoch."""

    def __init__(self, runs_dir: Path, target: Path) -> None:
        self._runs_dir, self._target = runs_dir, target

    def epoch_done(self, event: EpochDone) -> None:
        """Copy it; the event comes when the epoch's checkpoint is written."""
        run = find("latest", self._runs_dir)
        shutil.copytree(run.path, self._target / "small" / f"after-{event.epoch:02d}")


def campaign(folder: Path, variant: str, epochs: int) -> tuple[int, list[str]]:
    """Interrupt one variant after each epoch; return the number of interruptions and what was wrong."""
    from cnncli.engine.training.train import resume, train

    folder.mkdir(parents=True)
    path = folder / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    config = load(path, [*VARIANTS[variant], f"train.epochs={epochs}"])
    whole = train(config, folder / "whole", Copies(folder / "whole", folder / "copies"))
    expected = metrics(Path(whole.run))
    wrong = []
    copies = sorted((folder / "copies" / "small").iterdir())
    for copy in copies:
        run = Run.open(copy)
        result = resume(run, run.config(), Silence())
        rates = [line["learning_rate"] for line in metrics(copy)]
        if rates != [line["learning_rate"] for line in expected]:
            wrong.append(f"{copy.name}: other learning rates")
        if (result.epochs, result.best) != (whole.epochs, whole.best):
            wrong.append(f"{copy.name}: {result.epochs} epochs, best {result.best}")
        wrong += [f"{copy.name}: {difference}" for difference in differences(copy, Path(whole.run))]
        shutil.rmtree(copy)
    rates = sorted({line["learning_rate"] for line in expected})
    print(
        f"{variant}: {len(copies)} interruptions, {len(wrong)} differences; {whole.epochs} epochs, "
        f"best {whole.best['epoch'] if whole.best else None}, {len(rates)} learning rates "
        f"from {rates[-1]:.3g} to {rates[0]:.3g}",
        flush=True,
    )
    return len(copies), wrong


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    begun, interruptions, wrong = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS:
            number, found = campaign(Path(folder) / variant.replace(" ", "-"), variant, arguments.epochs)
            interruptions += number
            wrong += [f"{variant}, {line}" for line in found]
    print(f"{interruptions} interruptions, {len(wrong)} differences ({time.monotonic() - begun:.0f} s)")
    for line in wrong[:20]:
        print(" ", line)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
