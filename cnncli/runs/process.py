"""One training in a process of its own, watched from outside."""

from __future__ import annotations

import subprocess
import sys

from cnncli.errors import RunError


class TrainingProcess:
    """The command line in a process of its own, killed if it is left before its end."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "cnncli", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def finish(self) -> None:
        """Wait for its end; raise RunError if that is a failure."""
        code = self._process.wait()
        if code != 0:
            raise RunError(f"training ended with exit code {code}", "Its output is above.")

    def kill(self) -> bool:
        """End it by force; return whether there was still something to end."""
        if not self.runs:
            self.finish()
            return False
        self._process.kill()
        self._process.wait()
        return True
