"""SIGINT and SIGTERM at random moments of a training's life: is it heard, obeyed in time, and is the run resumable?

    python tests/faults/signals_campaign.py [--signals 100] [--seed 0] [--parallel 2]

Each trial starts `cnn train` in a process of its own and sends a signal at a moment drawn from the whole life
of the process; in one trial of four a second one follows, which must end it at once. Expected: exit code 130
or 143 within 5 s plus one step, no traceback, and a run that `cnn resume` brings to the same end, to the last bit,
as if nothing had been. A signal may also come when the process has just ended (exit code 0). Signals that come before
Python has reached the command line's first line are only counted: no program can answer those.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kill_campaign import POLL, After, Reference, undisturbed
from training_process import VARIANTS, Workplace, differences, newest_checkpoint

LIMIT = 5.0
"""Seconds in which a signal must have ended the process, besides a step, which here takes milliseconds."""

AT_ONCE = 1.0
"""The same for a second signal while it trains; before that, TensorFlow's import cannot be interrupted."""

GUARD = 300.0
"""Seconds after which a process that does not end is killed."""

USED = ("dropout and batch norm", "mid-epoch checkpoints", "ema")


@dataclass(frozen=True)
class Stop:
    """One process that was told to stop.

    Attributes:
        name: "SIGINT", "SIGTERM", and "twice" where a second signal followed.
        phase: "before main", "start-up", "training" or "ended".
        code: The exit code, or None where it had to be killed.
        seconds: Time from the last signal to the end of the process.
        stderr: What it said.
    """

    name: str
    phase: str
    code: int | None
    seconds: float
    stderr: str


@dataclass(frozen=True)
class Trial:
    """One run that was stopped, and then went on.

    Attributes:
        stop: How it was stopped.
        wrong: What was not as expected.
    """

    stop: Stop
    wrong: tuple[str, ...]


def stop_once(
    place: Workplace, is_there: Callable[[Path], bool], number: signal.Signals, second_after: float | None
) -> Stop:
    """Start or resume the training and send a signal at a moment, and where asked for a second one after a pause."""
    with place.start() as process:
        while process.poll() is None and not is_there(place.folder):
            time.sleep(POLL)
        phase = _phase(place)
        process.send_signal(number)
        if second_after is not None:
            time.sleep(second_after)
            process.send_signal(number)
        begun = time.monotonic()
        try:
            code = process.wait(GUARD)
        except subprocess.TimeoutExpired:
            process.kill()
            code = None
        seconds = time.monotonic() - begun
    name = number.name if second_after is None else f"{number.name} twice"
    return Stop(name, "ended" if code == 0 else phase, code, seconds, place.stderr())


def trial(folder: Path, variant: str, seed: int, reference: Reference) -> Trial:
    """Stop one training, resume it, and compare."""
    rng = random.Random(seed)
    place = Workplace(folder, VARIANTS[variant])
    number = rng.choice([signal.SIGINT, signal.SIGTERM])
    twice = rng.random() < 0.25
    moment, pause = After(rng.uniform(0, reference.seconds)), rng.uniform(0, 0.2)
    stop = stop_once(place, moment, number, pause if twice else None)
    wrong = [] if stop.phase == "before main" else judge(stop, number)
    limit = AT_ONCE if twice and stop.phase == "training" else LIMIT
    if stop.phase != "before main" and stop.seconds > limit:
        wrong.append(f"took {stop.seconds:.1f} s")
    try:
        place.finish()
        assert place.run is not None
        wrong += differences(place.run, reference.run)
    except (RuntimeError, AssertionError) as error:
        wrong.append(str(error))
    return Trial(stop, tuple(wrong))


def _phase(place: Workplace) -> str:
    if not place.in_main:
        return "before main"
    run = place.run
    return "start-up" if run is None or newest_checkpoint(run) is None else "training"


def judge(stop: Stop, number: signal.Signals) -> list[str]:
    """Return what was not as expected when the process ended, besides its time."""
    wrong = []
    if stop.code not in (0, 128 + number):
        wrong.append(f"exit code {stop.code}")
    if any(word in stop.stderr for word in ("Traceback", "Exception ignored", "Error")):
        wrong.append(f"said {stop.stderr[-500:]!r}")
    return wrong


def campaign(folder: Path, num_signals: int, seed: int, parallel: int) -> list[Trial]:
    """Make the trials."""
    with ThreadPoolExecutor(parallel) as pool:
        places = [folder / "reference" / variant.replace(" ", "-") for variant in USED]
        runs = pool.map(undisturbed, places, [VARIANTS[variant] for variant in USED])
        known = dict(zip(USED, runs, strict=True))
        variants = [USED[number % len(USED)] for number in range(num_signals)]
        return list(
            pool.map(
                lambda n, variant: trial(folder / f"trial-{n}", variant, seed * 100_003 + n, known[variant]),
                range(num_signals),
                variants,
            )
        )


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=2)
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trials = campaign(Path(folder), arguments.signals, arguments.seed, arguments.parallel)
    bad = [t for t in trials if t.wrong]
    print(f"{len(trials)} signals: {len(trials) - len(bad)} as expected ({time.monotonic() - begun:.0f} s)")
    for what in ("name", "phase"):
        counts = Counter(getattr(t.stop, what) for t in trials)
        print(f"  {what}:", ", ".join(f"{name} {count}" for name, count in counts.most_common()))
    for twice in (False, True):
        stops = [t.stop for t in trials if ("twice" in t.stop.name) == twice and t.stop.phase != "ended"]
        seconds = sorted(stop.seconds for stop in stops) or [0.0]
        kind = "second" if twice else "one"
        print(f"  {kind} signal: ended after {seconds[len(seconds) // 2]:.2f} s (median), {seconds[-1]:.2f} s (most)")
    for t in bad:
        print(f"  {t.stop.name} in {t.stop.phase}: {'; '.join(t.wrong)}")
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
