"""Workers that are killed, frozen, told to stop, left without disk or port: does the run end as one process ends it?

    python tests/faults/workers_campaign.py [--kills 200] [--seed 0] [--parallel 1] [--only kill|stop|term|disk|port]

Every trial is one run of `cnn train … --workers W`, disturbed, and brought to its end by `cnn resume … --workers W`
with other numbers of workers. Then it is compared with the run of one process that nobody disturbed: every array (the
weights, the optimizer's slots, the generators' states and the epoch's sums, of which the number of examples seen is
one), the counters, the lines of metrics.jsonl and the points in the event files. Equal sums of losses and of hits to
the last bit at the end of every epoch mean that each example was seen once an epoch, by one worker, in its place.

kill: SIGKILL to the chief, another worker, the launcher or all of them, several times a run, at a moment drawn from
the whole life or while something telling goes on. Nothing of the launch may live 2.5 s later; in some launches the
launcher is to go on by itself (`--restarts 3`).
stop: SIGSTOP to a worker. The others must notice within 12 s; 2.5 s later none is left, the frozen one neither.
term: SIGTERM to a worker, the chief or the launcher. All leave after the same step, with a checkpoint and code 143.
disk: The disk of the runs is full at a random byte: one clear error, and the run goes on once there is room.
port: Other programs take the ports that the launcher has chosen: it chooses others, five times.

Needs Linux; `disk` needs the right to mount a tmpfs. What was wrong stays in the folder that is printed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from kill_campaign import TELLING, After, Change, Reference, undisturbed
from launched_workers import Ends, Launch, Workers
from resume_full_disk import NotPermittedError, fill, small_disk
from training_process import differences, newest_checkpoint, step_of

OVERRIDES = [
    "train={shards: 8, epochs: 8, batch_size: 32, checkpoint: {every: {steps: 10}}, optimizer: Adam}",
    "data.augmentation=[MixUp]",
]
"""With dropout and batch normalization, as in every campaign. An epoch's last batch has 2 examples for 8 shards."""

POLL = 0.002
"""Seconds between two looks at a run."""

GUARD = 600.0
"""Seconds after which a launch that does not end is taken for one that hangs."""

MOST_KILLS = 6
"""Kills of one run."""

RESTARTS = 3

FREEZE_LIMIT = 12.0
"""Seconds in which a frozen worker must have been noticed."""

MOST_FREE = 100_000
"""Bytes that a full disk has at most; the whole run takes more."""

MOST_PORTS_TAKEN = 5
"""Times that the launcher tries other ports."""

VICTIMS = ("chief", "worker", "launcher", "all")


@dataclass(frozen=True)
class Setting:
    """What all trials have in common.

    Attributes:
        reference: The run of one process that nobody disturbed.
        limit: Seconds after which nothing of a launch may be left.
    """

    reference: Reference
    limit: float


@dataclass(frozen=True)
class Fault:
    """One thing done to a launch.

    Attributes:
        kind: What was done: "kill", …
        victim: To whom.
        phase: What the workers were at: "start-up", "training", "saving", "validation"; "ended" where it came too late.
        num_workers: How many there were.
        seconds: Time until the last worker had ended; None where that says nothing about them, for they were killed.
        orphans: Processes that were left.
        wrong: What was not as expected.
    """

    kind: str
    victim: str
    phase: str
    num_workers: int
    seconds: float | None
    orphans: int
    wrong: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether it came before the training's end."""
        return self.phase != "ended"


@dataclass(frozen=True)
class Trial:
    """One run, disturbed at least once.

    Attributes:
        folder: Its folder.
        faults: What was done to it.
        different: In what it differs from the reference.
    """

    folder: Path
    faults: tuple[Fault, ...]
    different: tuple[str, ...]

    @property
    def wrong(self) -> list[str]:
        """Everything that was not as expected."""
        told = [
            f"{fault.victim} of {fault.num_workers} in {fault.phase}: {w}" for fault in self.faults for w in fault.wrong
        ]
        return [*told, *self.different]


def draw_workers(rng: random.Random, least: int = 1, but: int | None = None) -> int:
    """Return a number of workers: 8 are rare, for each start takes a processor seconds."""
    numbers = {1: 6, 2: 8, 4: 5, 8: 1}
    chosen = {number: weight for number, weight in numbers.items() if number >= least and number != but}
    return rng.choices(list(chosen), list(chosen.values()))[0]


def draw_moment(rng: random.Random, setting: Setting, launch: Launch) -> Callable[[Path], bool]:
    """Return a function that says, given the folder, whether the moment of a kill is there."""
    reference = setting.reference
    starting = (reference.seconds - reference.training_seconds) * max(1, launch.num_workers // 2)
    kind = rng.choice(["start-up", "whole life", "training", "training", "saving", "saving", "validation"])
    if kind in ("start-up", "whole life"):
        return After(rng.uniform(0, starting if kind == "start-up" else starting + reference.training_seconds))
    if kind == "training":
        return After(rng.uniform(0, reference.training_seconds / 3), f"{launch.mark.name}-steps-0")
    if kind == "saving":
        name = rng.choice([name for name in TELLING if name != "run directory made"])
        return Change(TELLING[name], rng.randint(1, 4), rng.choice([0.0, rng.uniform(0, 0.01)]))
    times = rng.randint(1, 6)
    return lambda _: len(launch.told("validation")) >= 2 * times - 1


def wait_for(place: Workers, launch: Launch, is_there: Callable[[Path], bool]) -> None:
    """Wait until a moment is there, or the launch has ended."""
    while launch.is_running and not is_there(place.folder):
        time.sleep(POLL)


def find(launch: Launch, victim: str, rng: random.Random) -> tuple[list[int], dict[int, int | None]]:
    """Return the processes that a victim's name means, as soon as they are there, and all with their ranks.

    There is no victim if the launch has ended.
    """
    while launch.is_running:
        members = launch.members()
        ranks = {rank: pid for pid, rank in members.items() if rank is not None}
        others = [rank for rank in ranks if rank > 0]
        if victim in ("launcher", "all"):
            return ([launch.process.pid] if victim == "launcher" else list(members)), members
        if victim == "worker" and others:
            return [ranks[rng.choice(others)]], members
        if 0 in ranks and (victim == "chief" or launch.num_workers == 1):
            return [ranks[0]], members
        time.sleep(POLL)
    return [], {}


def workers_of(members: Mapping[int, int | None]) -> list[int]:
    """Return the process ids of those that have a rank."""
    return [pid for pid, rank in members.items() if rank is not None]


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may just have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_once(
    place: Workers, launch: Launch, is_there: Callable[[Path], bool], victim: str, seed: int, limit: float
) -> Fault:
    """Kill a launch or one of its workers at a moment, and see what becomes of the others."""
    wait_for(place, launch, is_there)
    pids, members = find(launch, victim, random.Random(seed))
    goes_on = victim in ("chief", "worker") and launch.restarts > 0
    phase = launch.phase(place.run)
    others, everyone = Ends(workers_of(members)), Ends([] if goes_on else members)
    send(pids, signal.SIGKILL)
    seconds, rest = others.within(limit)
    if not goes_on:
        rest = sorted({*rest, *everyone.within(limit)[1], *launch.members()} - {launch.process.pid})
    wrong = [f"{len(rest)} processes are left after {limit} s"] if rest else []
    if goes_on:
        launch.forget()
    if not pids or (not launch.is_running and launch.process.returncode == 0):
        return Fault("kill", victim, "ended", launch.num_workers, None, len(rest), tuple(wrong))
    launch.restarts -= goes_on
    wrong += judge_end(place, launch, victim, goes_on)
    told = seconds if victim in ("chief", "worker") and launch.num_workers > 1 and not rest else None
    return Fault("kill", victim, phase, launch.num_workers, told, len(rest), tuple(wrong))


def judge_end(place: Workers, launch: Launch, victim: str, goes_on: bool) -> list[str]:
    """Return what a launcher did otherwise than it should after a kill."""
    if goes_on:
        return [] if launch.is_running else [f"the launcher did not go on: {place.stderr()[-800:]}"]
    if launch.is_running:
        return ["the launcher did not end"]
    code = launch.process.returncode
    if victim in ("launcher", "all"):
        return [] if code == -signal.SIGKILL else [f"the launcher's exit code is {code}"]
    expected = "died of SIGKILL"
    if code == 128 + signal.SIGKILL and expected in place.stderr():
        return clear(place)
    return [f"exit code {code}: {place.stderr()[-1500:]!r}"]


def clear(place: Workers) -> list[str]:
    """Return what a user should not have been shown."""
    text = place.stderr()
    return [f"said {text[-1500:]!r}"] if "Traceback" in text or "Exception ignored" in text else []


def finish(place: Workers, setting: Setting, num_workers: int, launch: Launch | None = None) -> tuple[str, ...]:
    """Bring a run to its end, and return in what it differs from the reference."""
    try:
        if launch is None:
            with place.launched(num_workers) as launch:
                code = launch.process.wait(GUARD)
        else:
            code = launch.process.wait(GUARD)
        if code != 0:
            return (
                f"{launch.num_workers} workers cannot bring it to its end, exit code {code}: {place.stderr()[-1500:]}",
            )
        assert place.run is not None
        return tuple(differences(place.run, setting.reference.run))
    except Exception as error:  # noqa: BLE001 - a trial that fails must not hide the others
        return (f"{type(error).__name__}: {error}",)


def kills(folder: Path, rng: random.Random, setting: Setting) -> Trial:
    """Kill one run again and again, with another number of workers each time, and let it end."""
    place, faults, wanted = Workers(folder, OVERRIDES), [], rng.randint(1, MOST_KILLS)
    num_workers = None
    while len(faults) < wanted:
        num_workers = draw_workers(rng, but=num_workers)
        with place.launched(num_workers, RESTARTS if rng.random() < 0.3 else 0) as launch:
            while len(faults) < wanted:
                # Once the launcher is not to start them again, the kill that ends the launch may be any.
                victim = rng.choice(VICTIMS)
                moment = draw_moment(rng, setting, launch)
                faults.append(kill_once(place, launch, moment, victim, rng.randrange(1 << 30), setting.limit))
                if not launch.is_running or not faults[-1].is_done:
                    break
            if launch.is_running:
                return Trial(folder, tuple(faults), finish(place, setting, num_workers, launch))
        if not faults[-1].is_done:
            break
    return Trial(folder, tuple(faults), finish(place, setting, draw_workers(rng, but=num_workers)))


def stop(folder: Path, rng: random.Random, setting: Setting) -> Trial:
    """Freeze a worker."""
    place, num_workers = Workers(folder, OVERRIDES), draw_workers(rng, least=2)
    victim = rng.choice(["chief", "worker"])
    with place.launched(num_workers) as launch:
        wait_for(
            place, launch, After(rng.uniform(0, setting.reference.training_seconds / 3), f"{launch.mark.name}-steps-0")
        )
        (pids, members), phase = find(launch, victim, rng), launch.phase(place.run)
        everyone = Ends(members)
        send(pids, signal.SIGSTOP)
        seconds, rest = everyone.within(GUARD)
        wrong = [f"{len(rest)} processes are left after {GUARD} s"] if rest else []
        if seconds > FREEZE_LIMIT + setting.limit:
            wrong.append(f"it took {seconds:.1f} s")
        if not launch.is_running and launch.process.returncode == 0:
            phase = "ended"
        elif not rest:
            wrong += [] if "worker" in place.stderr() else ["nothing is said of a worker"]
            wrong += clear(place)
    fault = Fault("stop", victim, phase, num_workers, None if rest else seconds, len(rest), tuple(wrong))
    return Trial(folder, (fault,), finish(place, setting, draw_workers(rng, but=num_workers)))


def term(folder: Path, rng: random.Random, setting: Setting) -> Trial:
    """Ask one process of a launch to stop."""
    place, num_workers = Workers(folder, OVERRIDES), draw_workers(rng, least=2)
    victim = rng.choice(["chief", "worker", "launcher"])
    with place.launched(num_workers) as launch:
        wait_for(
            place, launch, After(rng.uniform(0, setting.reference.training_seconds / 3), f"{launch.mark.name}-steps-0")
        )
        fault = stop_by_signal(place, launch, victim, rng, setting.limit)
    return Trial(folder, (fault,), finish(place, setting, draw_workers(rng, but=num_workers)))


def stop_by_signal(place: Workers, launch: Launch, victim: str, rng: random.Random, limit: float) -> Fault:
    """Send SIGTERM to a launcher or to a worker that trains, and see whether all leave together."""
    (pids, members), phase = find(launch, victim, rng), launch.phase(place.run)
    everyone = Ends(workers_of(members))
    send(pids, signal.SIGTERM)
    code = launch.process.wait(GUARD)
    seconds, _ = everyone.within(limit)
    rest, wrong = launch.members(), []
    if code == 0:
        return Fault("term", victim, "ended", launch.num_workers, None, len(rest), ())
    if rest:
        wrong.append(f"{len(rest)} processes are left when the launcher has ended")
    codes = [(launch.told(f"exit-{rank}") or ["none"])[-1] for rank in range(launch.num_workers)]
    expected = 128 + signal.SIGTERM
    if code != expected or set(codes) != {str(expected)}:
        wrong.append(f"exit codes {code} and, of the workers, {', '.join(codes)}: {place.stderr()[-800:]!r}")
    saved = None if place.run is None else newest_checkpoint(place.run)
    if {*launch.last_steps(), step_of(saved)} != {step_of(saved)}:
        wrong.append(f"last steps {launch.last_steps()}, and a checkpoint of step {step_of(saved)}")
    if "Continue with: cnn resume" not in place.stderr():
        wrong.append("it does not say how to go on")
    return Fault("term", victim, phase, launch.num_workers, seconds, len(rest), (*wrong, *clear(place)))


def disk(folder: Path, rng: random.Random, setting: Setting) -> Trial:
    """Train onto a disk with little room."""
    place, num_workers = Workers(folder, OVERRIDES), draw_workers(rng, least=2)
    with ExitStack() as stack:
        stack.enter_context(small_disk(folder / "runs"))
        filler = fill(folder / "runs", rng.randrange(MOST_FREE))
        with place.launched(num_workers) as launch:
            code = launch.process.wait(GUARD)
            rest = launch.members()
        phase = "ended" if code == 0 else launch.phase(place.run)
        wrong = [f"{len(rest)} processes are left when the launcher has ended"] if rest else []
        if code != 0:
            errors = [line for line in place.stderr().splitlines() if "error" in line[:12]]
            wrong += clear(place)
            wrong += [] if code == 1 and len(errors) == 1 else [f"exit code {code}: {place.stderr()[-1500:]!r}"]
        filler.unlink()
        fault = Fault("disk", "chief", phase, num_workers, None, len(rest), tuple(wrong))
        return Trial(folder, (fault,), finish(place, setting, draw_workers(rng, but=num_workers)))


def port(folder: Path, rng: random.Random, setting: Setting) -> Trial:
    """Take ports between the launcher's choice and the workers' use of them."""
    place, num_workers = Workers(folder, OVERRIDES), draw_workers(rng, least=2)
    times = rng.choice([1, 1, 2, MOST_PORTS_TAKEN + 1])
    with place.launched(num_workers, environment={"WORKERS_CAMPAIGN_PORTS": str(times)}) as launch:
        code = launch.process.wait(GUARD)
        rest, wrong = launch.members(), clear(place)
        expected = 0 if times <= MOST_PORTS_TAKEN else 1
        taken = len(launch.told("ports"))
    if code != expected or taken != times:
        wrong.append(f"exit code {code} after {taken} of {times} taken ports: {place.stderr()[-800:]!r}")
    if rest:
        wrong.append(f"{len(rest)} processes are left when the launcher has ended")
    fault = Fault("port", f"{times} times", "start-up", num_workers, None, len(rest), tuple(wrong))
    if code == 0:
        assert place.run is not None
        return Trial(folder, (fault,), tuple(differences(place.run, setting.reference.run)))
    return Trial(folder, (fault,), finish(place, setting, draw_workers(rng, but=num_workers)))


KINDS: dict[str, Callable[[Path, random.Random, Setting], Trial]] = {
    "kill": kills,
    "stop": stop,
    "term": term,
    "disk": disk,
    "port": port,
}

SHARE = {"kill": 1.0, "stop": 0.05, "term": 0.1, "disk": 0.05, "port": 0.04}
"""Faults of each kind for one kill, where `--only` does not say of which kind all are."""


def campaign(folder: Path, kind: str, wanted: int, seed: int, parallel: int, setting: Setting) -> list[Trial]:
    """Make trials of a kind until there are as many faults as asked for."""
    trials: list[Trial] = []

    def make(number: int) -> Trial:
        place = folder / f"{kind}-{number}"
        try:
            trial = KINDS[kind](place, random.Random(f"{seed} {kind} {number}"), setting)
        except NotPermittedError:
            raise
        except Exception as error:  # noqa: BLE001 - a trial that fails must not hide the others
            trial = Trial(place, (), (f"{type(error).__name__}: {error}",))
        if not trial.wrong:
            shutil.rmtree(place)
        return trial

    with ThreadPoolExecutor(parallel) as pool:
        while (missing := wanted - len(done(trials)) - sum(not trial.faults for trial in trials)) > 0:
            first, number = len(trials), min(parallel, missing)
            for trial in pool.map(make, range(first, first + number)):
                trials.append(trial)
                tell(trial, len(done(trials)), wanted)
    return trials


def done(trials: Sequence[Trial]) -> list[Fault]:
    """Return the faults that came before the training's end."""
    return [fault for trial in trials for fault in trial.faults if fault.is_done]


def tell(trial: Trial, number: int, wanted: int) -> None:
    """Print a line for a run, and what was wrong with it."""
    what = ", ".join(f"{f.victim} of {f.num_workers} in {f.phase}" for f in trial.faults)
    print(f"  {number}/{wanted} {what}: {'WRONG' if trial.wrong else 'as expected'}", flush=True)
    for line in trial.wrong:
        print(f"    {trial.folder}: {line}", flush=True)


def summary(kind: str, trials: Sequence[Trial]) -> str:
    """Return a line of figures of a kind.

    Example: "200 kills in 58 runs (chief 61, …; training 70, …): 0 runs differ, 0 orphans, 0 otherwise wrong; the
    others had ended after 0.4 s (median), 1.3 s (maximum)"
    """
    faults = done(trials)

    def counts(names: Sequence[object]) -> str:
        return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())

    of_workers = counts([f"{fault.num_workers} workers" for fault in faults])
    what = "; ".join([counts([f.victim for f in faults]), counts([f.phase for f in faults]), of_workers])
    seconds = sorted(fault.seconds for fault in faults if fault.seconds is not None)
    ended = (
        ""
        if not seconds
        else (
            f"; the workers had ended after {seconds[len(seconds) // 2]:.1f} s (median), {seconds[-1]:.1f} s (maximum)"
        )
    )
    return (
        f"{kind}: {len(faults)} in {len(trials)} runs ({what}): {sum(bool(t.different) for t in trials)} runs differ, "
        f"{sum(fault.orphans for t in trials for fault in t.faults)} orphans, "
        f"{sum(bool(t.wrong) for t in trials)} wrong in all{ended}"
    )


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="faults; of the kinds but kill a part of that")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--only", choices=list(KINDS), help="make all faults of this kind")
    parser.add_argument(
        "--limit", type=float, default=2.5, help="seconds after which nothing may be left; more on a busy machine"
    )
    arguments = parser.parse_args()
    folder, begun, bad = Path(tempfile.mkdtemp(prefix="workers-campaign-")), time.monotonic(), 0
    setting = Setting(undisturbed(folder / "reference", OVERRIDES), arguments.limit)
    reference = setting.reference
    print(f"one process: {reference.seconds:.1f} s, {reference.training_seconds:.1f} s of it training", flush=True)
    wanted = {kind: max(1, round(share * arguments.kills)) for kind, share in SHARE.items()}
    lines = []
    for kind, number in {arguments.only: arguments.kills}.items() if arguments.only else wanted.items():
        try:
            trials = campaign(folder, kind, number, arguments.seed, arguments.parallel, setting)
        except NotPermittedError as error:
            lines.append(f"{kind}: not tried, {error}")
            continue
        bad += sum(bool(trial.wrong) for trial in trials)
        lines.append(summary(kind, trials))
    print(*lines, f"{time.monotonic() - begun:.0f} s", sep="\n")
    if bad:
        print(f"what was wrong is in {folder}")
    else:
        shutil.rmtree(folder)
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
