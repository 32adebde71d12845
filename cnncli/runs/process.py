"""One command in a process of its own, watched from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from cnncli.errors import RunError

PROGRAM = (sys.executable, "-m", "cnncli")
"""What runs the command line."""


class TrainingProcess:
    """The command line in a process of its own, killed if it is left before its end; its stdout vanishes.

    Args:
        arguments: Arguments of `cnn`.
        environment: Its variables; by default those of this process.
        pipes: Numbers of the open pipes that it inherits.
        program: What is started with the arguments.
    """

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        pipes: Sequence[int] = (),
        program: Sequence[str] = PROGRAM,
    ) -> None:
        command = [*program, *arguments]
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            command, stdout=subprocess.DEVNULL, env=environment, pass_fds=pipes
        )

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait for its end; return its exit code, minus the number of the signal that it died of."""
        return self._process.wait()

    def finish(self) -> None:
        """Wait for its end; raise RunError if that is a failure."""
        code = self.wait()
        if code != 0:
            raise RunError(f"training ended with exit code {code}", "Its output is above.")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> bool:
        """End it by force; return whether there was still something to end."""
        if not self.runs:
            self.finish()
            return False
        self._process.kill()
        self._process.wait()
        return True
