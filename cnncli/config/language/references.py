"""`${a.b}`: a value of the config used in a second place."""

from __future__ import annotations

import re
from dataclasses import replace

from cnncli.config.language.expected import read, shortened
from cnncli.config.language.suggestions import suggestion
from cnncli.config.yaml import paths
from cnncli.config.yaml.parser import MAX_DEPTH, MAX_VALUES
from cnncli.config.yaml.problems import dotted, fail
from cnncli.config.yaml.tree import Entry, Mapping, Origin, Scalar, Sequence, Value, children, larger

_REFERENCE = re.compile(r"\$(\$?)\{([^{}]*)\}")
MAX_CHAIN = 8
"""How many references may lead to one another."""
MAX_TEXT = 10_000
"""Characters of a text with references filled in."""


def resolve(tree: Value) -> Value:
    """Return the config with every `${path}` replaced by what stands at the path; `$${` stands for itself.

    Raises:
        ConfigError: If a path does not exist, references are circular, or they expand to too many values.
    """
    if not _contains_any(tree):
        return tree
    resolved = _References(tree).value(tree, ())
    if larger(resolved, MAX_VALUES, MAX_DEPTH):
        fail(
            "E007",
            f"References expand to more than {MAX_VALUES:,} values, or more than {MAX_DEPTH} levels.",
            tree.origin,
        )
    return resolved


def escape(text: str) -> str:
    """Return a text so that reading it gives the text again."""
    return re.sub(r"\$(\{[^{}]*\})", r"$$\1", text)


def _contains_any(tree: Value) -> bool:
    rest = [tree]
    while rest:
        value = rest.pop()
        if isinstance(value, Scalar) and isinstance(value.value, str) and "${" in value.value:
            return True
        rest += children(value)
    return False


class _References:
    """The references of one config."""

    def __init__(self, root: Value) -> None:
        self.root = root
        self.done: dict[str, Value] = {}
        self.open: list[str] = []

    def value(self, value: Value, steps: tuple[str | int, ...]) -> Value:
        """Resolve a value and all that is in it."""
        if isinstance(value, Mapping):
            entries = {k: Entry(e.key, self.value(e.value, (*steps, k))) for k, e in value.entries.items()}
            return Mapping(entries, value.origin)
        if isinstance(value, Sequence):
            return Sequence(tuple(self.value(v, (*steps, i)) for i, v in enumerate(value.items)), value.origin)
        if isinstance(value.value, str) and "${" in value.value:
            return self.text(value, value.value, dotted(steps))
        return value

    def text(self, scalar: Scalar, text: str, path: str) -> Value:
        """Resolve the references in a text; one that is the whole text may stand for any value."""
        whole = _REFERENCE.fullmatch(text)
        if whole and not whole[1]:
            found = self.target(whole[2].strip(), scalar.origin, path)
            return replace(found, origin=replace(scalar.origin, also=found.origin))
        filled = _REFERENCE.sub(lambda match: self.part(match, scalar.origin, path), text)
        if len(filled) > MAX_TEXT:
            fail(
                "E007", f"References expand to a string of more than {MAX_TEXT:,} characters.", scalar.origin, path=path
            )
        return Scalar(filled, scalar.origin, quoted=True)

    def part(self, match: re.Match[str], origin: Origin, path: str) -> str:
        """Return what one reference within a text stands for."""
        if match[1]:
            return match[0][1:]
        found = self.target(match[2].strip(), origin, path)
        if not isinstance(found, Scalar) or found.value is None or isinstance(found.value, bool):
            message = f"Only a string or a number can be inserted into a string; {match[0]} is {read(found)}."
            fail("E022", message, origin, path=path)
        return str(found.value)

    def target(self, name: str, origin: Origin, path: str) -> Value:
        """Return the resolved value that a reference names."""
        if name in self.done:
            return self.done[name]
        if len(self.open) >= MAX_CHAIN:
            fail("E007", f"A chain of more than {MAX_CHAIN} references.", origin, path=path)
        if name in self.open:
            circle = " → ".join([*self.open[self.open.index(name) :], name])
            fail("E023", f"Circular reference: {shortened(circle)}.", origin, path=path)
        steps = paths.parse(name)
        if steps is None:
            hint = "Write the path of a value, as in ${train.epochs} or ${values.name}."
            fail("E022", f'Expected a path in "${{…}}"; got "{shortened(name)}".', origin, hint, path)
        self.open.append(name)
        self.done[name] = self.value(self.find(name, steps, origin, path), steps)
        self.open.pop()
        return self.done[name]

    def find(self, name: str, steps: tuple[str | int, ...], origin: Origin, path: str) -> Value:
        """Return the value that a path leads to."""
        value = self.root
        for number, step in enumerate(steps):
            found = paths.child(value, step)
            if found is None:
                names = list(value.entries) if isinstance(value, Mapping) else []
                where = dotted(steps[:number]) or "The config"
                message = f'"{shortened(name)}" does not exist: {where} has no "{step}".{suggestion(str(step), names)}'
                hint = f"Keys of {where}: {', '.join(names[:20])}" if names else None
                fail("E022", message, origin, hint, path)
            value = found
        return value
