"""The errors that a user can cause and mend.

Every one of them is a `CnnError`: the command line prints it in a few lines, without a
traceback, and ends with its exit code. Any other exception is a bug in cnncli.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One error or warning at one place.

    Attributes:
        code: Number of the error's page, "E012"; warnings begin with "W".
        message: What was read and what was expected, in one or two sentences.
        file: File it stands in, "--set" for the command line, or None.
        line: Line in the file, from 1.
        column: Column in the line, from 1.
        path: Dotted path in the config, "model.layers[3].Conv2D.filters".
        hint: What to do, or None.
        excerpt: The line of text that the caret points into, or None.
        length: Number of characters that the caret underlines.
    """

    code: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: str = ""
    hint: str | None = None
    excerpt: str | None = None
    length: int = 1

    @property
    def severity(self) -> str:
        """Return "error", which stops a run, or "warning", which does not."""
        return "warning" if self.code.startswith("W") else "error"

    def to_json(self) -> dict[str, Any]:
        """Return plain data: where it is, what it is, what to do."""
        names = ("file", "line", "column", "path", "code", "severity", "message", "hint")
        return {name: getattr(self, name) for name in names}


class CnnError(Exception):
    """A known error: what happened, what was expected, what to do.

    Args:
        message: What was read and what was expected.
        hint: What to do, or None.
        code: Number of the error's page for `cnn explain`, or None.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class ConfigError(CnnError):
    """A config with at least one error; carries all its problems, most useful first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first, *rest = problems
        place = ":".join(str(part) for part in (first.file, first.line, first.column) if part is not None)
        more = f" (and {len(rest)} more)" if rest else ""
        super().__init__(f"{place}: {first.path}: {first.message}{more}", first.hint, first.code)
        self.problems = problems


class ShapeError(CnnError):
    """A layer cannot take an input of this shape."""


class DataError(CnnError):
    """Examples that are missing, unreadable or not what the config says."""


class RunError(CnnError):
    """A run directory that is missing, locked, damaged or ambiguous."""


class WriteError(RunError):
    """A file of a run that cannot be written: the run is read-only, another user's, or the disk is full."""


class CheckpointError(RunError):
    """A checkpoint that is missing, damaged or of another network."""


class ExportError(CnnError):
    """An artifact that cannot be written, or does not answer as its run does."""
