"""Problems at the places of keys and values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from cnncli.config.yaml.tree import Origin
from cnncli.errors import ConfigError, Problem

MAX_PROBLEMS = 100
"""Most problems of one config that are reported."""
MAX_PATH = 300
"""Characters of a path that a message shows."""
WHOLE = "(document)"
"""Path of a problem that concerns no single key."""


class Problems(list[Problem]):
    """What is wrong with a config so far; the search ends when there is enough to mend."""

    def append(self, problem: Problem) -> None:
        """Add a problem.

        Raises:
            ConfigError: With all problems, if this is the last that is reported.
        """
        super().append(problem)
        if len(self) >= MAX_PROBLEMS:
            raise ConfigError(tuple(self))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add problems, as `append` does."""
        for each in problems:
            self.append(each)


def problem(code: str, message: str, origin: Origin, hint: str | None = None, path: str = "") -> Problem:
    """Make a problem from the place of a key or value."""
    if origin.also is not None:
        message = f"{message} See also {origin.also.position}."
    return Problem(
        code=code,
        message=message,
        file=origin.file,
        line=origin.line,
        column=origin.column,
        path=_cut(path) or WHOLE,
        hint=hint,
        excerpt=origin.excerpt,
        length=origin.length,
    )


def fail(code: str, message: str, origin: Origin, hint: str | None = None, path: str = "") -> NoReturn:
    """Raise a ConfigError with a single problem."""
    raise ConfigError((problem(code, message, origin, hint, path),))


def dotted(steps: tuple[str | int, ...] | list[str | int], root: str = "") -> str:
    """Return the path of steps: ("model", "layers", 3) → "model.layers[3]"."""
    return (root + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)).removeprefix(".")


def _cut(path: str) -> str:
    return path if len(path) <= MAX_PATH else path[: MAX_PATH - 1] + "…"
