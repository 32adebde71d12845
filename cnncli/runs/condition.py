"""One condition on a run, as `cnn runs --where` takes it: "train.batch_size>=64"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from cnncli.errors import ConfigError, RunError
from cnncli.files.form import MISSING

_EXPRESSION = re.compile(r"\s*(?P<key>[^\s=!<>~]+)\s*(?P<operator><=|>=|!=|==|=|<|>|~)\s*(?P<word>.*\S)\s*", re.DOTALL)

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

HINT = "For example: --where 'train.batch_size>=64', --where tag=baseline. Operators: = != < <= > >= and ~ (contains)."


@dataclass(frozen=True)
class Condition:
    """A value that a run must have.

    Attributes:
        text: The condition as it was written.
        key: What is compared: a path of the config, or a result.
        operator: "=", "!=", "<", "<=", ">", ">=", or "~" for a text that contains another.
        word: What it is compared with, as it was written.
        value: The number, truth value, list or text that the word means.
    """

    text: str
    key: str
    operator: str
    word: str
    value: Any

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a condition.

        Raises:
            RunError: If it is none.
        """
        found = _EXPRESSION.fullmatch(text)
        if found is None:
            raise RunError(f'--where "{text}" cannot be read: expected a key, an operator and a value', HINT)
        symbol, word = "=" if found["operator"] == "==" else found["operator"], found["word"]
        return cls(text, found["key"], symbol, word, word if symbol == "~" else _meaning(text, word))

    def holds(self, value: Any) -> bool:
        """Say whether a run meets it.

        Args:
            value: What the run has under the key: of tags a tuple, of which one must meet it, and with "!=" all;
                MISSING where it has no such key, which meets nothing.
        """
        if value is MISSING:
            return False
        if isinstance(value, tuple):
            return (all if self.operator == "!=" else any)(map(self._holds, value))
        return self._holds(value)

    def require_order(self, values: Iterable[Any]) -> None:
        """Refuse an order between things that have none.

        Args:
            values: What the runs have under the key.

        Raises:
            RunError: If none of them is larger or smaller than the condition's value, or equal to it.
        """
        known = [value for value in values if value not in (MISSING, None, ())]
        if self.operator in _ORDERS and known and not any(map(self._is_comparable, known)):
            raise RunError(
                f'--where "{self.text}": {self.key} cannot be compared with "{self.word}": one run has {known[0]}',
                "Numbers are compared with numbers, and texts with texts.",
            )

    @property
    def _as_text(self) -> str:
        """What a text is compared with: 64 is a number, but a tag may be called so."""
        return self.value if isinstance(self.value, str) else self.word

    def _holds(self, value: Any) -> bool:
        if self.operator == "~":
            return value is not None and self.word.casefold() in str(value).casefold()
        if self.operator in ("=", "!="):
            return self._equals(value) == (self.operator == "=")
        if not self._is_comparable(value):
            return False
        return _ORDERS[self.operator](value, self._as_text if isinstance(value, str) else self.value)

    def _equals(self, value: Any) -> bool:
        if isinstance(value, str):
            return value == self._as_text
        # In Python, true equals 1.
        return isinstance(value, bool) == isinstance(self.value, bool) and bool(value == self.value)

    def _is_comparable(self, value: Any) -> bool:
        if isinstance(value, tuple):
            return all(map(self._is_comparable, value))
        return isinstance(value, str) or (is_number(value) and is_number(self.value))


def is_number(value: Any) -> bool:
    """Say whether a value is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _meaning(text: str, word: str) -> Any:
    """Return what a word means in YAML, as in a config."""
    from cnncli.config.yaml import scalars

    try:
        if word[0] not in "[{\"'":
            return scalars.read(word)
        from cnncli.config.yaml.parser import parse
        from cnncli.config.yaml.tree import plain

        return plain(parse(word, "--where"))
    except scalars.NumberError as error:
        raise RunError(f'--where "{text}" cannot be read: {error}', HINT) from error
    except ConfigError as error:
        raise RunError(f'--where "{text}" cannot be read: {error.problems[0].message}', HINT) from error
