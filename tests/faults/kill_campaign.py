"""SIGKILL at random moments of a training's life, then resume: does it end as if nothing had been?

    python tests/faults/kill_campaign.py [--kills 200] [--seed 0] [--parallel 2] [--one-run 50]

Each trial starts `cnn train` in a process of its own and kills it: at a moment drawn from the whole life of
the process, or while something telling is going on in the run's directory (it is being made, a checkpoint
is being written, renamed or removed, a line is added to metrics.jsonl or to an event file). Then `cnn
resume` goes on (`cnn train` where there was no run yet), is killed as well in one trial of four, and in the
end the arrays, the metrics, the counters and the points in the event files are compared with those of a run that
nobody disturbed. Nothing is taken from the run's own checksums: the arrays are read and digested here.

With `--one-run N` a single run is killed N times before it may end.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from training_process import (
    INTERVAL,
    STEPS_PER_EPOCH,
    VARIANTS,
    Workplace,
    differences,
    metrics,
    newest_checkpoint,
    progress,
    step_of,
)

POLL = 0.0005
"""Seconds between two looks at a run's directory."""


@dataclass(frozen=True)
class Kill:
    """One SIGKILL.

    Attributes:
        moment: What was waited for.
        phase: What the run's directory shows: "start-up", "training" or "ended" where the process was quicker.
        lost: Steps that the process had told of and that are to be taken again.
    """

    moment: str
    phase: str
    lost: int


@dataclass(frozen=True)
class Trial:
    """One run, killed at least once.

    Attributes:
        variant: Name of its config.
        kills: Its kills.
        wrong: In what it differs from the reference.
    """

    variant: str
    kills: tuple[Kill, ...]
    wrong: tuple[str, ...]


def glob_grows(pattern: str, size: bool = False) -> Callable[[Path], object]:
    """Return a function whose value changes when files of that pattern come, or grow."""

    def look(folder: Path) -> object:
        try:
            return [(p.name, p.stat().st_size if size else 0) for p in sorted(folder.glob(pattern))]
        except FileNotFoundError:
            return None

    return look


TELLING: dict[str, Callable[[Path], object]] = {
    "run directory made": glob_grows("runs/small/*"),
    "checkpoint written": glob_grows("runs/small/[!.]*/checkpoints/.new-*/*", size=True),
    "checkpoint renamed": glob_grows("runs/small/[!.]*/checkpoints/step-*"),
    "old checkpoint removed": glob_grows("runs/small/[!.]*/checkpoints/.old-*"),
    "hint or record replaced": glob_grows("runs/small/[!.]*/.*.tmp"),
    "metrics line": glob_grows("runs/small/[!.]*/metrics.jsonl", size=True),
    "event written": glob_grows("runs/small/[!.]*/tensorboard/*/*", size=True),
}
"""What can be waited for, by its name."""


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbed.

    Attributes:
        run: Its directory.
        seconds: Life of its process.
        training_seconds: The part of that after its first checkpoint.
    """

    run: Path
    seconds: float
    training_seconds: float


def draw(rng: random.Random, reference: Reference) -> tuple[str, Callable[[Path], bool]]:
    """Return what a kill waits for, and a function that says, given the folder, whether it is there."""
    kind = rng.random()
    if kind < 0.3:
        return "whole life", After(rng.uniform(0, reference.seconds))
    if kind < 0.6:
        return "training", After(rng.uniform(0, reference.training_seconds), "runs/small/[!.]*/checkpoints/step-*")
    name = rng.choice(sorted(TELLING))
    return name, Change(TELLING[name], rng.randint(1, 8), rng.choice([0.0, rng.uniform(0, 0.01)]))


class After:
    """Tells when some seconds have passed, from now on or since the first file of a pattern was there."""

    def __init__(self, seconds: float, pattern: str | None = None) -> None:
        self._seconds, self._pattern = seconds, pattern
        self._begun = None if pattern else time.monotonic()

    def __call__(self, folder: Path) -> bool:
        """Look at the folder."""
        if self._begun is None and any(folder.glob(self._pattern)):
            self._begun = time.monotonic()
        return self._begun is not None and time.monotonic() >= self._begun + self._seconds


class Change:
    """Tells when something has changed a number of times, and a delay has passed."""

    def __init__(self, look: Callable[[Path], object], times: int, delay: float) -> None:
        self._look, self._left, self._delay = look, times, delay
        self._last: object = None
        self._seen = False

    def __call__(self, folder: Path) -> bool:
        """Look at the folder."""
        now = self._look(folder)
        if self._seen and now != self._last:
            self._left -= 1
        self._last, self._seen = now, True
        if self._left <= 0:
            time.sleep(self._delay)
        return self._left <= 0


def kill_once(place: Workplace, moment: str, is_there: Callable[[Path], bool]) -> Kill:
    """Start or resume the training and kill it at a moment."""
    with place.start() as process:
        while process.poll() is None and not is_there(place.folder):
            time.sleep(POLL)
        process.kill()
        code = process.wait()
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"exit code {code}:\n{place.stderr()}")
    newest = None if place.run is None else newest_checkpoint(place.run)
    phase = "ended" if code == 0 else "start-up" if newest is None else "training"
    return Kill(moment, phase, max(0, place.steps_told() - step_of(newest)) if code else 0)


def trial(folder: Path, variant: str, seed: int, reference: Reference) -> Trial:
    """Kill one run once or twice, let it end, and compare."""
    rng = random.Random(seed)
    place = Workplace(folder, VARIANTS[variant])
    wanted = 2 if rng.random() < 0.25 else 1
    kills: list[Kill] = []
    try:
        for _ in range(wanted):
            kill = kill_once(place, *draw(rng, reference))
            if kill.phase == "ended":
                break  # The process was quicker: nothing was killed this time.
            kills.append(kill)
        place.finish()
        assert place.run is not None
        wrong = differences(place.run, reference.run)
    except (RuntimeError, AssertionError) as error:
        wrong = [str(error)]
    longest = INTERVAL.get(variant, STEPS_PER_EPOCH)
    wrong += [f"{kill.lost} steps lost, more than {longest}" for kill in kills if kill.lost > longest]
    return Trial(variant, tuple(kills), tuple(wrong))


def undisturbed(folder: Path, overrides: list[str], forked: bool = False) -> Reference:
    """Train a run and watch the clock."""
    place, begun = Workplace(folder, overrides, forked), time.monotonic()
    with place.start() as process:
        while process.poll() is None and not any(folder.glob("runs/small/[!.]*/checkpoints/step-*")):
            time.sleep(POLL)
        trained = time.monotonic()
        if process.wait() != 0:
            raise RuntimeError(place.stderr())
    assert place.run is not None
    return Reference(place.run, time.monotonic() - begun, time.monotonic() - trained)


def campaign(folder: Path, num_kills: int, seed: int, parallel: int, variants: list[str]) -> list[Trial]:
    """Make trials until there are as many kills as asked for."""
    trials: list[Trial] = []
    rounds = 0
    with ThreadPoolExecutor(parallel) as pool:
        places = [folder / "reference" / variant.replace(" ", "-") for variant in variants]
        runs = pool.map(undisturbed, places, [VARIANTS[variant] for variant in variants])
        known = dict(zip(variants, runs, strict=True))
        _show(known)
        while (missing := num_kills - sum(len(t.kills) for t in trials)) > 0:
            begun = len(trials) + rounds
            jobs = []
            for number in range(begun, begun + missing):
                variant = variants[number % len(variants)]
                place = folder / f"trial-{number}"
                jobs.append(pool.submit(trial, place, variant, seed * 100_003 + number, known[variant]))
            for job in jobs:
                trials.append(job.result())
                _tell(trials, num_kills)
                if sum(len(t.kills) for t in trials) >= num_kills:
                    break
            for job in jobs:
                job.cancel()
            rounds += 1
    return trials


def _show(known: dict[str, Reference]) -> None:
    """Print what the references came to, so that one sees early stopping stop and the plateau cut."""
    for variant, reference in known.items():
        end, last = progress(reference.run), metrics(reference.run)[-1]
        scores = ", ".join(f"{name} {score:.3f}" for name, score in last["validation"].items())
        print(
            f"  {variant}: {last['epoch']} epochs, {last['step']} steps, validation {scores}, "
            f"plateau factor {end['plateau_factor']:.3g}; "
            f"{reference.seconds:.1f} s, {reference.training_seconds:.1f} s of it training",
            flush=True,
        )


def _tell(trials: list[Trial], num_kills: int) -> None:
    if trials[-1].wrong:
        print(f"  {trials[-1].variant}: {'; '.join(trials[-1].wrong)} after {trials[-1].kills}", flush=True)
    kills = sum(len(t.kills) for t in trials)
    if kills // 20 > (kills - len(trials[-1].kills)) // 20:
        print(f"  {kills}/{num_kills} kills", file=sys.stderr, flush=True)


def one_run(folder: Path, num_kills: int, seed: int) -> Trial:
    """Kill a single run again and again before it may end."""
    overrides = [*VARIANTS["augmentation"], *VARIANTS["ema"], *VARIANTS["plateau"], f"train.epochs={2 * num_kills}"]
    whole = Workplace(folder / "whole", overrides)
    whole.finish()
    place, rng, kills = Workplace(folder / "killed", overrides), random.Random(seed), []
    while len(kills) < num_kills:
        if rng.random() < 0.2:
            kills.append(kill_once(place, "whole life", After(rng.uniform(0, 5))))
        else:
            name = rng.choice([name for name in TELLING if name != "run directory made"])
            kills.append(kill_once(place, name, Change(TELLING[name], 1, rng.choice([0.0, rng.uniform(0, 0.05)]))))
        if kills[-1].phase == "ended":
            break
    place.finish()
    assert place.run is not None
    assert whole.run is not None
    wrong = differences(place.run, whole.run)
    wrong += [f"{kill.lost} steps lost" for kill in kills if kill.lost > STEPS_PER_EPOCH]
    if len(kills) < num_kills:
        wrong.append(f"the run ended after {len(kills)} kills")
    return Trial("one run", tuple(kills), tuple(wrong))


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--one-run", type=int, default=0, metavar="N", help="kill a single run N times instead")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.one_run:
            trials = [one_run(Path(folder), arguments.one_run, arguments.seed)]
        else:
            trials = campaign(Path(folder), arguments.kills, arguments.seed, arguments.parallel, arguments.variants)
    report(trials, time.monotonic() - begun)


def report(trials: list[Trial], seconds: float) -> None:
    """Print what came out, and end with 1 if anything was wrong."""
    kills = [kill for t in trials for kill in t.kills]
    good = [t for t in trials if not t.wrong]
    print(
        f"{len(kills)} kills in {len(trials)} runs: {len(good)} of {len(trials)} ended bit-identical ({seconds:.0f} s)"
    )
    print("  moments:", ", ".join(f"{name} {n}" for name, n in Counter(k.moment for k in kills).most_common()))
    print("  killed in:", ", ".join(f"{name} {n}" for name, n in Counter(k.phase for k in kills).most_common()))
    lost = sorted(k.lost for k in kills)
    print(f"  steps taken again: median {lost[len(lost) // 2]}, most {lost[-1]}; an epoch has {STEPS_PER_EPOCH}")
    for t in trials:
        for line in t.wrong:
            print(f"  {t.variant}: {line}")
    raise SystemExit(len(good) != len(trials))


if __name__ == "__main__":
    main()
