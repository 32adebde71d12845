"""A stand-in for `cnn` as a child: it makes runs and evaluations in no time, and does what `behaviour.json` says.

Every call is a line of `calls.txt`. For "seed 4" or "seed 4, fold 1" in behaviour.json: "fail" ends with exit code 1,
"hang" waits for a signal, "die" kills itself, "edit" changes the config's file.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import FrameType

import numpy as np

from cnncli.config.dump import dump
from cnncli.config.load import load
from cnncli.runs.group import Member, group_in
from cnncli.runs.run import Run
from cnncli.workers import parent

CLASSES = ("cat", "dog", "owl")
NUM_EXAMPLES = 60
EVALUATED = ("loss", "accuracy", "brier_score", "top_k_accuracy", "classes", "num_examples", "split")


def answers(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and logits of all examples, as the networks of a seed answer."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, len(CLASSES), NUM_EXAMPLES)
    logits = generator.normal(size=(NUM_EXAMPLES, len(CLASSES)))
    logits[np.arange(NUM_EXAMPLES), labels] += 1
    return labels, logits


def held_out(member: Member) -> np.ndarray:
    """Return the examples of a run's fold; all where there is none."""
    numbers = np.arange(NUM_EXAMPLES)
    return numbers if member.fold is None else numbers[numbers % (member.folds or 1) == member.fold - 1]


def train(run: Run, behaviour: str | None, config: str) -> None:
    """Train a run to its end, or as far as it is told."""
    if behaviour == "fail":
        run.update(status="failed")
        sys.exit(1)
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "edit":
        path = Path(config)
        path.write_text(path.read_text(encoding="utf-8").replace("epochs: 1", "epochs: 7"), encoding="utf-8")
    if behaviour == "hang":
        hang(run)
    run.append_metrics({"epoch": 1, "validation": {"loss": 0.5, "accuracy": 0.25}})
    run.update(status="done", epochs=1, best={"epoch": 1, "monitor": "validation_accuracy", "value": 0.25})


def hang(run: Run) -> None:
    """Wait for a signal, write down how often it came, and end as `cnn train` does."""

    def stop(number: int, _: FrameType | None) -> None:
        with Path("signals.txt").open("a", encoding="utf-8") as file:
            file.write(f"{number}\n")
        heard.append(number)

    heard: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    Path("hanging.txt").write_text(str(os.getpid()), encoding="utf-8")
    for _ in range(3000):
        time.sleep(0.1)
        if heard:
            time.sleep(0.5)  # A second one would come now.
            run.update(status="interrupted")
            sys.exit(128 + heard[0])
    sys.exit("nobody sent a signal")


def evaluate(run: Run, split: str) -> None:
    """Keep an evaluation of a run."""
    from cnncli.tasks.classification.evaluator import evaluate_logits

    record = run.record
    member = Member(record["seed"], record.get("fold"), record.get("folds"))
    rows = held_out(member)
    labels, logits = (column[rows] for column in answers(member.seed))
    found = evaluate_logits(split, CLASSES, labels, logits, [str(row) for row in rows])
    document = found.to_json()
    csv = found.csv()
    run.write_text(run.predictions_file(split), csv)
    kept = {name: document[name] for name in EVALUATED} | {"predictions_sha256": sha256(csv.encode()).hexdigest()}
    run.write_sealed(run.evaluation_file(split), kept)


def new_run(config_name: str, options: list[str]) -> Run:
    """Make the run of a config."""
    sets = [value for option, value in pairwise(options) if option == "--set"]
    config = load(config_name, sets)
    member = Member.of(config)
    folds = {} if member.fold is None else {"fold": member.fold, "folds": member.folds}
    record = {"seed": member.seed, **folds, "group": group_in(os.environ)}
    run = Run.create(Path(options[options.index("--runs-dir") + 1]), config.name, dump(config), record)
    held = len(held_out(member)) if member.fold else 10
    sizes = {"train": NUM_EXAMPLES - held, "validation": held, "test": NUM_EXAMPLES}
    run.write_sealed(run.data_file, {"classes": list(CLASSES), "num_examples": sizes})
    return run


def main() -> None:
    """Do what the command line says."""
    gc.set_threshold(200_000)  # As `cnn` itself begins.
    parent.watch()
    command, subject, *options = sys.argv[1:]
    with Path("calls.txt").open("a", encoding="utf-8") as file:
        file.write(" ".join(sys.argv[1:]) + "\n")
    print("a child's result")
    print(f"a child's progress: {command}", file=sys.stderr)
    if command == "eval":
        evaluate(Run.open(Path(subject)), options[options.index("--split") + 1])
        return
    run = new_run(subject, options) if command == "train" else Run.open(Path(subject))
    with run.lock():
        told = json.loads(Path("behaviour.json").read_text(encoding="utf-8")) if Path("behaviour.json").exists() else {}
        train(run, told.get(str(Member.of(run.config()))), subject)


if __name__ == "__main__":
    main()
