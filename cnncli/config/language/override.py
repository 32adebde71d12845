"""`--set a.b[0].c=value`: single values of a config replaced from the command line."""

from __future__ import annotations

from dataclasses import dataclass

from cnncli.config.language.expected import shortened
from cnncli.config.language.extends import NAMED
from cnncli.config.language.suggestions import suggestion
from cnncli.config.yaml import parser, paths
from cnncli.config.yaml.paths import Steps
from cnncli.config.yaml.problems import dotted, fail
from cnncli.config.yaml.tree import COMMAND_LINE, Entry, Mapping, Origin, Scalar, Sequence, Source, Value

_NAMED_ITEMS = {"layers", "shortcut", "augmentation", "Parallel"}
"""Lists whose items have a name with arguments."""


@dataclass(frozen=True)
class Override:
    """One `--set`.

    Attributes:
        steps: The path's steps.
        origins: Where each step stands in the text.
        value: The value to put there.
    """

    steps: Steps
    origins: tuple[Origin, ...]
    value: Value

    @property
    def path(self) -> str:
        """The path as text."""
        return dotted(self.steps)


def parse(text: str) -> Override:
    """Read "a.b[0].c=value"; the value is YAML.

    Raises:
        ConfigError: If there is no "=", no path before it, or the value cannot be read.
    """
    source = Source.of(COMMAND_LINE, text)
    path, equals, written = text.partition("=")
    placed = paths.parse_with_columns(path)
    if not equals or placed is None:
        message = f'Expected KEY=VALUE with a dotted path as the key; got "{shortened(text)}".'
        hint = "For example: --set train.epochs=3 or --set model.layers[0].Conv2D.filters=8"
        fail("E025", message, Origin(source, 1, 1, max(len(source.lines[0]), 1)), hint)
    origins = tuple(Origin(source, 1, start + 1, length) for _, start, length in placed)
    value = parser.parse(written, COMMAND_LINE, before=f"{path}=", root=path)
    return Override(tuple(step for step, _, _ in placed), origins, value)


def apply(tree: Value, override: Override) -> Value:
    """Return the tree with one value replaced, or added to a mapping that has not got it.

    Raises:
        ConfigError: If the path goes through a value that is not a mapping or list, past a list's end, or to another
            layer than the one that stands there.
    """
    if override.steps == ("extends",):
        fail("E026", "extends cannot be set: it is read from the file.", override.origins[0], path=override.path)
    return _put(tree, override, 0)


def _put(value: Value | None, override: Override, depth: int) -> Value:
    if depth == len(override.steps):
        return override.value
    step, origin = override.steps[depth], override.origins[depth]
    if isinstance(step, int):
        return _put_item(value, override, depth)
    value = _opened(value, step, origin)
    if not isinstance(value, Mapping):
        where = dotted(override.steps[:depth]) or "The config"
        fail("E026", f'{where} is not a mapping, so it has no "{shortened(step)}".', origin, path=override.path)
    if step not in value.entries and value.entries:
        value = _renamed(value, override, depth)
    inner = _put(value.get(step), override, depth + 1)
    key = value.entries[step].key if step in value.entries else origin
    return Mapping({**value.entries, step: Entry(key, inner)}, value.origin)


def _opened(value: Value | None, step: str, origin: Origin) -> Value:
    """Return what a step goes into: a mapping in place of nothing, or of the bare name that the step repeats."""
    if value is None or (isinstance(value, Scalar) and value.value is None):
        return Mapping({}, origin)
    if isinstance(value, Scalar) and value.value == step:
        return Mapping({step: Entry(value.origin, Mapping({}, value.origin))}, value.origin)
    return value


def _renamed(value: Mapping, override: Override, depth: int) -> Mapping:
    """Return an empty mapping where another name replaces all; fail where only the name that stands there will do."""
    before = override.steps[:depth]
    if before in NAMED:
        return Mapping({}, value.origin)
    lists = [step for step in before if isinstance(step, str)]
    if before and isinstance(before[-1], int) and lists[-1] in _NAMED_ITEMS and len(value.entries) == 1:
        step = str(override.steps[depth])
        message = f'{dotted(before)} is "{next(iter(value.entries))}", not "{step}".{suggestion(step, value.entries)}'
        fail("E026", message, override.origins[depth], path=override.path)
    return value


def _put_item(value: Value | None, override: Override, depth: int) -> Value:
    index, origin = override.steps[depth], override.origins[depth]
    where = dotted(override.steps[:depth])
    if not isinstance(value, Sequence):
        fail("E026", f"{where} is not a list, so it has no [{index}].", origin, path=override.path)
    items = list(value.items)
    if not isinstance(index, int) or index >= len(items):
        has = f"{len(items)} items, [0] to [{len(items) - 1}]" if items else "no items"
        fail("E026", f"{where} has {has}; there is no [{index}].", origin, path=override.path)
    items[index] = _put(items[index], override, depth + 1)
    return Sequence(tuple(items), value.origin)
