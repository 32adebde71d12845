"""A sweep from where it is to its end: trials proposed, trained, gone on with, counted.

Several of these may work on one directory, on one machine or on several: each proposes the same trials, and the lock of
a trial decides who trains it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from io import FileIO

from cnncli.errors import CnnError
from cnncli.sweeps.directory import SweepDirectory, Trial, TrialDirectory
from cnncli.sweeps.halving import Ladder
from cnncli.sweeps.memory import MemoryBound
from cnncli.sweeps.proposal import Outcome
from cnncli.sweeps.study import Study
from cnncli.sweeps.trainings import Launcher, Program, Training, launching
from cnncli.workers.launcher import KNOWN
from cnncli.workers.stop_signals import StopSignals

POLL = 0.5
"""Seconds after which trials are looked at again that are shown, or that other processes train."""

MOST_DEATHS = 5
"""Times that a training may die without having completed another epoch."""


def run(
    directory: SweepDirectory,
    program: Program,
    tell: Callable[[Trial], None],
    look: Callable[[], None] | None = None,
) -> signal.Signals | None:
    """Train what a sweep still lacks. Only the main thread may call this: it listens to signals.

    Args:
        directory: The sweep's directory.
        program: What trains.
        tell: Hears of each trial that is refused, pruned, done or failed now.
        look: Called every POLL seconds while something is trained, or None.

    Returns:
        The signal that asked to stop, or None when the sweep is complete.

    Raises:
        CnnError: If a training fails for another reason than its values: the same command goes on from there.
        OSError: If the system refuses to start a process.
    """
    if os.name == "nt":
        raise CnnError("cnn sweep needs a system whose processes inherit pipes, which Windows does not let them")
    with StopSignals() as stop, launching(program) as launcher:
        scheduler = _Scheduler(directory, program.processes, launcher, tell)
        try:
            while scheduler.advance(stop.first is not None):
                if look is not None:
                    look()
                stop.wait([], scheduler.patience if look is None else POLL)
                scheduler.forward(stop)
        finally:
            scheduler.kill()
        if scheduler.error is not None:
            raise scheduler.error
        return None if scheduler.is_complete else stop.first


class _Scheduler:
    """The trials that are open, and the trainings that run.

    Attributes:
        error: Why no further trial is trained, or None.
    """

    def __init__(
        self, directory: SweepDirectory, processes: int, launcher: Launcher, tell: Callable[[Trial], None]
    ) -> None:
        self.error: CnnError | None = None
        self._directory, self._processes, self._launcher, self._tell = directory, processes, launcher, tell
        self._study = Study(directory.sweep, directory.recalled)
        self._ladder = Ladder(directory.sweep)
        self._memory = MemoryBound(directory.sweep) if launcher.takes_memory else None
        self._outcomes: dict[int, Outcome] = {}
        self._open: dict[int, TrialDirectory] = {}
        self._running: dict[int, Training] = {}
        self._deaths: dict[int, tuple[int, int]] = {}

    @property
    def is_complete(self) -> bool:
        """Whether all trials are proposed and have a result."""
        return self._study.is_complete and not self._open

    @property
    def patience(self) -> float | None:
        """Seconds to wait for the end of a training; None where nothing else is waited for."""
        elsewhere = len(self._open) > len(self._running) and len(self._running) < self._processes
        return POLL if elsewhere else None

    def advance(self, is_stopping: bool) -> bool:
        """Do what can be done now; return whether there is something to wait for."""
        for number in [number for number, each in self._running.items() if each.process.poll() is not None]:
            self._ended(number, is_stopping)
        if is_stopping or self.error is not None:
            if self.error is not None:
                self._send(signal.SIGTERM)
            return bool(self._running)
        self._propose()
        while self._start():
            self._propose()
        return not self.is_complete

    def forward(self, stop: StopSignals) -> None:
        """Hand signals on to the trainings."""
        number = stop.to_forward()
        if stop.second is not None:
            self.kill()
        elif number is not None:
            self._send(number)

    def kill(self) -> None:
        """End all trainings by force: what is on the disk can be gone on with at any moment."""
        for training in self._running.values():
            training.process.kill()
        for training in self._running.values():
            training.process.wait()

    def _send(self, number: signal.Signals) -> None:
        for training in self._running.values():
            training.process.send_signal(number)

    def _propose(self) -> None:
        """Make the folders of all trials that can be proposed now; those that are there may have a result."""
        while (step := self._study.next(self._outcomes)) is not None:
            proposal, config = step
            directory = self._directory.directory_of(proposal.number)
            is_new = not directory.path.is_dir()
            if is_new:
                self._directory.add(proposal, config)
            trial = self._ladder.judge(directory.read())
            if trial.outcome is not None:
                self._outcomes[proposal.number] = trial.outcome
            elif proposal.refused is None:
                self._open[proposal.number] = directory
            elif is_new:
                self._tell(trial)
        if self._study.is_complete:
            self._ladder.close()

    def _start(self) -> bool:
        """Start what there is room for; return whether a result was found, of another process or of a rung."""
        has_found = False
        for number, directory in list(self._open.items()):
            if self.error is not None or len(self._running) == self._processes:
                break
            if number in self._running or not self._has_room(directory):
                continue
            lock = directory.try_hold()
            if lock is None:
                self._ladder.judge(directory.read())  # Others may wait for what another process trains.
                continue
            slot = min(set(range(self._processes)) - {each.slot for each in self._running.values()})
            has_found |= self._go_on(number, directory, lock, slot)
        return has_found

    def _has_room(self, directory: TrialDirectory) -> bool:
        """Say whether the memory suffices for one more training; one always runs."""
        if self._memory is None or not self._running:
            return True
        running = {each.process.pid: each.directory.proposal for each in self._running.values()}
        return self._memory.has_room(directory.proposal, running)

    def _go_on(self, number: int, directory: TrialDirectory, lock: FileIO, slot: int) -> bool:
        """Begin what a trial lacks next, or count its result; return whether it has one."""
        trial = self._ladder.judge(directory.read())
        if trial.outcome is not None:
            lock.close()
            self._outcomes[number] = trial.outcome
            del self._open[number]
            self._tell(trial)
            return True
        leg = None if trial.state == "paused" else directory.next_leg(self._ladder.target(number))
        if self._memory is not None:
            try:
                self._memory.require_possible(directory.proposal)
            except CnnError as error:
                lock.close()
                self.error = error
                return False
        if leg is None:
            lock.close()  # It waits at a rung, or a training that a dead sweep has left is about to end.
        else:
            self._running[number] = self._launcher.start(directory, leg, lock, slot)
        return False

    def _ended(self, number: int, is_stopping: bool) -> None:
        """Go on with a trial of which a training has ended, unless that failed for good."""
        training = self._running.pop(number)
        code = training.process.returncode
        has_result = self._ladder.judge(training.directory.read()).outcome is not None
        if not has_result and (is_stopping or self.error is not None):
            training.lock.close()
        elif not has_result and (code in KNOWN or self._dies_again(number, training)):
            training.lock.close()
            self.error = _failure(number, training)
        else:
            self._go_on(number, training.directory, training.lock, training.slot)

    def _dies_again(self, number: int, training: Training) -> bool:
        """Count that a training has ended early; return whether it does so again and again at the same place."""
        if training.process.returncode == 0:
            return False
        epochs = training.directory.num_epochs()
        before, times = self._deaths.get(number, (epochs, 0))
        self._deaths[number] = (epochs, times + 1 if epochs == before else 1)
        return self._deaths[number][1] >= MOST_DEATHS


def _failure(number: int, training: Training) -> CnnError:
    """Return the error of a training that fails for another reason than its values."""
    code = training.process.returncode
    how = f"failed with exit code {code}" if code > 0 else f"died {MOST_DEATHS} times, last of signal {-code}"
    words = training.last_words()
    message = f"the training of trial {number} {how}" + (f":\n{words}" if words else "")
    hint = f"Its log is {training.directory.log_file}. The same command goes on with the sweep."
    return CnnError(message, hint)
