"""Plain values → models, with every complaint of pydantic put in our words at its place."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cnncli.config import expected
from cnncli.config.tree import Entry, Mapping, Origin, Sequence, Value
from cnncli.config.places import problem
from cnncli.errors import Problem

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]

_RANGE = {
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "too_short",
    "too_long",
    "string_pattern_mismatch",
    "string_too_short",
    "string_too_long",
}


def python(value: Value) -> Any:
    """Return a value as dicts, tuples and scalars: what the strict models take."""
    if isinstance(value, Mapping):
        return {key: python(entry.value) for key, entry in value.entries.items()}
    if isinstance(value, Sequence):
        return tuple(python(item) for item in value.items)
    return value.value


def nearest(word: str, words: list[str]) -> str:
    """Return " Did you mean …?" for a misspelt word, or an empty text."""
    exact = [w for w in words if w.lower() == word.lower()]
    close = exact or get_close_matches(word, words, n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""


def build(
    model: type[Model],
    value: Mapping,
    path: str,
    problems: list[Problem],
    ready: MappingType[str, Any] | None = None,
    subject: str | None = None,
) -> Model | None:
    """Make a model of a mapping, or add what is wrong with it to `problems`.

    Args:
        model: Section or spec to make.
        value: Its keys as written.
        path: Where the mapping stands in the config.
        problems: Takes what is wrong.
        ready: Fields that are made already, in place of what the mapping has.
        subject: What messages call the model; "Conv2D".
    """
    data = {key: python(entry.value) for key, entry in value.entries.items() if key not in (ready or {})}
    try:
        return model.model_validate({**data, **(ready or {})})
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
    complaint = _Complaint(model, value, path, subject)
    problems += complaint.problems(details)
    return None


class _Complaint:
    """What pydantic found wrong with one mapping, in our words."""

    def __init__(self, model: type[BaseModel], value: Mapping, path: str, subject: str | None) -> None:
        self.model = model
        self.schema = model.model_json_schema()
        self.value = value
        self.path = path
        self.subject = subject

    def problems(self, details: list[ErrorDetails]) -> list[Problem]:
        """Return one problem for each place, however many alternatives it failed."""
        places: dict[Location, ErrorDetails] = {}
        for detail in details:
            places.setdefault(self.real(detail["loc"]), detail)
        deepest = [p for p in places if not any(q != p and q[: len(p)] == p for q in places)]
        return [self.problem(place, places[place]) for place in deepest]

    def real(self, location: Location) -> Location:
        """Drop what pydantic adds to a location for the alternatives that it tried."""
        kept: list[str | int] = []
        value: Value | None = self.value
        for index, part in enumerate(location):
            child = _child(value, part)
            last_key = index == len(location) - 1 and isinstance(value, Mapping)
            if child is not None or (last_key and part in self.known(tuple(kept))):
                kept.append(part)
                value = child
        return tuple(kept)

    def known(self, location: Location) -> list[str]:
        """Return the keys that the mapping at a location may have."""
        part = expected.field(self.schema, location)
        options = [part, *part.get("anyOf", ())]
        return [name for option in options for name in option.get("properties", {})]

    def problem(self, location: Location, detail: ErrorDetails) -> Problem:
        """Word one complaint."""
        if detail["type"] == "extra_forbidden":
            return self.unknown_key(location)
        if detail["type"] == "missing":
            return self.missing_key(location)
        if detail["type"] in ("value_error", "assertion_error"):
            message = str(detail["ctx"]["error"])
            return problem("E019", message, self.origin(location), path=self.dotted(location))
        return self.wrong_value(location, detail["type"])

    def unknown_key(self, location: Location) -> Problem:
        names = self.known(location[:-1])
        key = str(location[-1])
        owner = self.subject if self.subject and len(location) == 1 else self.dotted(location[:-1])
        noun = "argument" if self.subject else "key"
        entry = self.entry(location)
        hint = f"{noun.capitalize()}s of {owner}: {', '.join(names)}"
        message = f'{owner} has no {noun} "{key}".{nearest(key, names)}'
        code = "E012" if self.subject else "E010"
        return problem(code, message, entry.key if entry else self.value.origin, hint, self.dotted(location))

    def missing_key(self, location: Location) -> Problem:
        owner = self.subject or self.dotted(location[:-1])
        part = expected.field(self.schema, location)
        message = f'{owner} needs "{location[-1]}": {expected.phrase(part)}.'
        code = "E013" if self.subject else "E011"
        return problem(code, message, self.origin(location[:-1]), path=self.dotted(location))

    def wrong_value(self, location: Location, kind: str) -> Problem:
        part = expected.field(self.schema, location)
        value = self.at(location)
        names = expected.choices(part)
        close = nearest(str(value.value), names) if names and hasattr(value, "value") else ""
        message = f"Expected {expected.phrase(part)}; read {expected.read(value)}.{close}"
        code = "E015" if kind in _RANGE else "E016" if names else "E014"
        return problem(code, message, value.origin, path=self.dotted(location))

    def at(self, location: Location) -> Value:
        value: Value = self.value
        for part in location:
            child = _child(value, part)
            if child is None:
                break
            value = child
        return value

    def entry(self, location: Location) -> Entry | None:
        parent = self.at(location[:-1])
        return parent.entries.get(str(location[-1])) if isinstance(parent, Mapping) else None

    def origin(self, location: Location) -> Origin:
        return self.at(location).origin

    def dotted(self, location: Location) -> str:
        parts = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location)
        return (self.path + parts).removeprefix(".")


def _child(value: Value | None, part: str | int) -> Value | None:
    if isinstance(value, Mapping) and isinstance(part, str):
        return value.get(part)
    if isinstance(value, Sequence) and isinstance(part, int) and part < len(value.items):
        return value.items[part]
    return None
