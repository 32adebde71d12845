"""NaN in the loss, a gradient, the input or a layer's output at random steps: is the run stopped within that step?

    python tests/faults/nan_campaign.py [--trials 50] [--seed 0]

Expected each time: an error that names the very step, a newest checkpoint with finite numbers only, the batch as
images beside the finding, status failed, and a run that ends like an undisturbed one once the cause is gone.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from nan_injection import KINDS, injected
from training_process import SMALL, STEPS_PER_EPOCH, VARIANTS, differences, newest_checkpoint, step_of

from cnncli.config.load import load
from cnncli.runs.events import Silence
from cnncli.runs.find import find

EPOCHS = 3
USED = ("dropout and batch norm", "ema", "mid-epoch checkpoints", "cosine with momentum")


def trial(folder: Path, kind: str, step: int, overrides: list[str], reference: Path) -> list[str]:
    """Inject, look at what is left, go on without, and compare; return what was wrong."""
    from cnncli.engine.training.divergence import DivergedError
    from cnncli.engine.training.train import resume, train

    config = _config(folder, overrides)
    wrong = []
    try:
        with injected(kind, step):
            train(config, folder, Silence())
        return ["it was not stopped"]
    except DivergedError as error:
        if f"at step {step:,} " not in error.message:
            wrong.append(error.message)
    run = find("latest", folder)
    if run.status != "failed":
        wrong.append(f"status is {run.status}")
    newest = newest_checkpoint(run.path)
    if newest is None or not step_of(newest) < step:
        wrong.append(f"newest checkpoint is {newest}")
    arrays = run.checkpoints.load(newest.name).arrays if newest else {}
    wrong += [f"{name} is not finite" for name, array in arrays.items() if not np.isfinite(array).all()]
    evidence = run.path / f"diverged-step-{step:08d}"
    finding = json.loads((evidence / "finding.json").read_text(encoding="utf-8"))
    if finding["what"] != kind or len(list(evidence.glob("*.png"))) != len(finding["labels"]):
        wrong.append(f"the finding is {finding['what']}")
    resume(run, run.config(), Silence())
    return wrong + differences(run.path, reference)


def _config(folder: Path, overrides: list[str]):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return load(path, [*overrides, f"train.epochs={EPOCHS}"])


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    from cnncli.engine.training.train import train

    rng, begun, bad = random.Random(arguments.seed), time.monotonic(), 0
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = [train(_config(folder / v, VARIANTS[v]), folder / v, Silence()).run for v in USED]
        references = {variant: Path(run) for variant, run in zip(USED, runs, strict=True)}
        for number in range(arguments.trials):
            variant, kind = USED[number % len(USED)], rng.choice(KINDS)
            step = rng.randint(1, EPOCHS * STEPS_PER_EPOCH)
            wrong = trial(folder / f"trial-{number}", kind, step, VARIANTS[variant], references[variant])
            kinds[kind] += 1
            bad += bool(wrong)
            if wrong:
                print(f"  {kind} at step {step} ({variant}): {'; '.join(wrong)}", flush=True)
    print(f"{arguments.trials} injected: {arguments.trials - bad} as expected ({time.monotonic() - begun:.0f} s)")
    print("  kinds:", ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
