"""The `data.yaml` of a YOLO data set: names of the classes, and where the images of each split are."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from yaml import events as ev
from yaml.error import YAMLError

from cnncli.config.yaml.scanner import Events, TooDeepError
from cnncli.datasets.layout import SPLITS
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError

_MAX_BYTES = 2**20
_DEEPEST = 8
_NOT_YAML = (ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)
"""What PyYAML raises on some malformed files in place of a YAMLError."""

Tree = str | list[Any] | dict[str, Any]
"""Everything is text: a class may be called "no" or "1"."""


class DataYaml(NamedTuple):
    """What a `data.yaml` says.

    Attributes:
        file: Its path.
        names: Names of the classes by their numbers.
        splits: Paths of each split's images, as they are written.
    """

    file: str
    names: tuple[str, ...]
    splits: Mapping[str, Sequence[str]]


def read_data_yaml(store: Store, listing: Listing) -> DataYaml | None:
    """Return what the outermost `.yaml` file with names of classes says, or None where there is none.

    Raises:
        DataError: If there is a `data.yaml` that cannot be read or names no classes.
    """
    files = [name for name in listing.names if name.casefold().endswith((".yaml", ".yml"))]
    for name in sorted(files, key=lambda name: (name.count("/"), posixpath.basename(name) != "data.yaml", name)):
        is_expected = posixpath.basename(name).casefold() in ("data.yaml", "data.yml")
        try:
            top = _tree(store.read(name), name)
        except DataError:
            if is_expected:
                raise
            continue
        if isinstance(top, dict) and "names" in top:
            return DataYaml(name, _class_names(top, name), _split_paths(top))
        if is_expected:
            raise DataError(f"{name} names no classes", "Expected names: [cat, dog], in the order of their numbers.")
    return None


def names_text(classes: Sequence[str]) -> str:
    """Return the lines of a `data.yaml` that name classes by their numbers: any name can be read again."""
    lines = [f"nc: {len(classes)}", "names:", *(f"  {number}: {_quoted(name)}" for number, name in enumerate(classes))]
    return "".join(f"{line}\n" for line in lines)


def _quoted(name: str) -> str:
    """Return a text between quotes: as in JSON, but YAML knows no pairs of surrogates."""
    quoted = json.dumps(name, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)


def _class_names(top: dict[str, Any], file: str) -> tuple[str, ...]:
    """Return the names in the order of their numbers: from a list, or a mapping of numbers to names."""
    names = top["names"]
    if isinstance(names, dict):
        numbers = [str(number) for number in range(len(names))]
        if sorted(names) != sorted(numbers):
            raise DataError(
                f"{file}: the names of the classes have the numbers {', '.join(names)}, expected 0, 1, 2, …"
            )
        names = [names[number] for number in numbers]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise DataError(f"{file}: names is not a list of names", "Expected names: [cat, dog].")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{file} names the class {repeated[0]} twice")
    if "nc" in top and top["nc"] != str(len(names)):
        raise DataError(f"{file} has {len(names)} names of classes, but nc: {top['nc']}")
    return tuple(names)


def _split_paths(top: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in top.items():
        paths = value if isinstance(value, list) else [value]
        if key in SPLITS and all(isinstance(path, str) for path in paths) and any(paths):
            found.setdefault(SPLITS[key], []).extend(path.replace("\\", "/") for path in paths if path)
    return found


def _tree(content: bytes, name: str) -> Tree:
    """Read a YAML document of texts.

    Raises:
        DataError: If it is not one, is too large or too deep, or repeats parts by aliases.
    """
    if len(content) > _MAX_BYTES:
        raise DataError(f"{name}: the file has {len(content):,} bytes; the limit is {_MAX_BYTES:,}")
    try:
        events = Events(content.decode("utf-8-sig"), _DEEPEST)
        events.next()
        if events.check_event(ev.StreamEndEvent):
            return ""
        events.next()
        return _value(events, name, 0)
    except TooDeepError as error:
        raise DataError(f"{name}: nested too deeply") from error
    except (YAMLError, *_NOT_YAML) as error:
        raise DataError(f"{name}: not readable as YAML: {' '.join(str(error).split())[:200]}") from error


def _value(events: Events, name: str, depth: int) -> Tree:
    event = events.next()
    if depth > _DEEPEST:
        raise DataError(f"{name}: nested too deeply")
    if isinstance(event, ev.AliasEvent):
        raise DataError(f"{name}: aliases (*{event.anchor}) are not read; write the value out")
    if isinstance(event, ev.SequenceStartEvent):
        items = []
        while not events.check_event(ev.SequenceEndEvent):
            items.append(_value(events, name, depth + 1))
        events.next()
        return items
    if isinstance(event, ev.MappingStartEvent):
        found: dict[str, Tree] = {}
        while not events.check_event(ev.MappingEndEvent):
            key, value = _value(events, name, depth + 1), _value(events, name, depth + 1)
            if isinstance(key, str):
                found[key] = value
        events.next()
        return found
    return str(event.value)
