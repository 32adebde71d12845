"""One command in a process of its own, which ends with this one and hears the signals that ask this one to stop."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from cnncli.interrupts import show_cursor
from cnncli.runs.environment import COMMAND_VARIABLE
from cnncli.runs.process import PROGRAM, TrainingProcess
from cnncli.workers.parent import LAUNCHER_VARIABLE, RUN_VARIABLE
from cnncli.workers.processes import STOPPED, pipe
from cnncli.workers.stop_signals import StopSignals


def run_child(
    arguments: Sequence[str], stop: StopSignals, variables: Mapping[str, str], program: Sequence[str] = PROGRAM
) -> int:
    """Run a command to its end.

    Args:
        arguments: Arguments of `cnn`; the command calls `parent.watch`, by which it ends with this process.
        stop: The signals that ask to stop, which go on to the child where it was not told itself.
        variables: What its environment has besides that of this process.
        program: What is started with the arguments.

    Returns:
        Its exit code; 128 and the number of the signal that it died of.

    Raises:
        OSError: If the system refuses to start it.
    """
    with pipe() as (launcher, _):
        environment = {**os.environ, **variables, LAUNCHER_VARIABLE: str(launcher.fileno())}
        for name in (RUN_VARIABLE, COMMAND_VARIABLE):
            environment.pop(name, None)
        child = TrainingProcess(*arguments, environment=environment, pipes=[launcher.fileno()], program=program)
        with child:
            _wait(child, stop)
            code = child.wait()
    if code < 0:
        show_cursor()
    return 128 - code if code < 0 else code


def is_stop(code: int) -> bool:
    """Say whether an exit code is that of a command that a signal asked to stop."""
    return code in STOPPED


def _wait(child: TrainingProcess, stop: StopSignals) -> None:
    is_hurried = False
    while child.runs:
        stop.wait([], None)
        number = stop.to_forward()
        if stop.second is not None and not is_hurried:
            number, is_hurried = stop.second, True
        if number is not None and child.runs:
            child.send(number)
