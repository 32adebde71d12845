"""Plain values → models, with every complaint of pydantic put in our words at its place."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cnncli.config.language import expected
from cnncli.config.language.expected import Location
from cnncli.config.language.suggestions import nearest, suggestion
from cnncli.config.yaml import paths
from cnncli.config.yaml.problems import MAX_PROBLEMS, dotted, problem
from cnncli.config.yaml.tree import Entry, Mapping, Scalar, Sequence, Value
from cnncli.errors import Problem

Model = TypeVar("Model", bound=BaseModel)

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


@dataclass(frozen=True)
class Part:
    """A mapping of the config that becomes one model.

    Attributes:
        value: The mapping.
        path: Where it stands, "model.layers[3].Conv2D".
        subject: What messages call it: a layer's name; None for a section, which goes by its path.
        misplaced_keys: Where keys of other sections belong, for keys in the wrong place.
    """

    value: Mapping
    path: str
    subject: str | None = None
    misplaced_keys: MappingType[str, str] | None = None


def python(value: Value) -> Any:
    """Return a value as dicts, tuples and scalars: what the strict models take."""
    if isinstance(value, Mapping):
        return {key: python(entry.value) for key, entry in value.entries.items()}
    if isinstance(value, Sequence):
        return tuple(python(item) for item in value.items)
    return value.value


def build(
    model: type[Model], part: Part, problems: list[Problem], ready: MappingType[str, Any] | None = None
) -> Model | None:
    """Make a model of a mapping, or add what is wrong with it to `problems`.

    Args:
        model: Section or spec to make.
        part: The mapping.
        problems: Takes what is wrong.
        ready: Fields that are made already, in place of what the mapping has.
    """
    made = ready or {}
    data = {key: python(entry.value) for key, entry in part.value.entries.items() if key not in made}
    try:
        return model.model_validate({**data, **made})
    except ValidationError as error:
        problems.extend(_Complaint(model, part).problems(error.errors(include_url=False)[:MAX_PROBLEMS]))
        return None


class _Complaint:
    """What pydantic found wrong with one mapping, in our words."""

    def __init__(self, model: type[BaseModel], part: Part) -> None:
        self.schema = model.model_json_schema()
        self.part = part

    def problems(self, details: list[ErrorDetails]) -> list[Problem]:
        """Return one problem for each place, however many alternatives it failed there."""
        places: dict[Location, ErrorDetails] = {}
        for detail in details:
            places.setdefault(self.real(detail["loc"]), detail)
        inner = [p for p in places if not any(q != p and q[: len(p)] == p for q in places)]
        meant = {self.meant(place) for place in inner if places[place]["type"] == "extra_forbidden"}
        reported = [p for p in inner if not (places[p]["type"] == "missing" and p in meant)]
        return [self.problem(place, places[place]) for place in reported]

    def real(self, location: Location) -> Location:
        """Drop what pydantic adds to a location for the alternatives that it tried."""
        steps: list[str | int] = []
        value: Value | None = self.part.value
        for index, step in enumerate(location):
            child = paths.child(value, step)
            missing = index == len(location) - 1 and isinstance(value, Mapping)
            if child is not None or (missing and step in expected.keys(expected.field(self.schema, tuple(steps)))):
                steps.append(step)
                value = child
        return tuple(steps)

    def meant(self, location: Location) -> Location:
        """Return the place that a misspelt key was meant for."""
        names = expected.keys(expected.field(self.schema, location[:-1]))
        return (*location[:-1], nearest(str(location[-1]), names) or "")

    def problem(self, location: Location, detail: ErrorDetails) -> Problem:
        """Word one complaint."""
        if detail["type"] == "extra_forbidden":
            return self.unknown_key(location)
        if detail["type"] == "missing" and self.entry(location) is None:  # else an item of a list is missing
            return self.missing_key(location)
        if not location or detail["type"] in ("value_error", "assertion_error"):
            message = sentence(detail["msg"].removeprefix("Value error, "))
            return problem("E019", message, self.at(location).origin, path=self.path(location))
        return self.wrong_value(location, detail)

    def unknown_key(self, location: Location) -> Problem:
        """Say that a key is unknown, which one was meant, and which there are."""
        subject = self.subject(location)
        names = expected.keys(expected.field(self.schema, location[:-1]))
        key, noun = str(location[-1]), "argument" if subject else "key"
        owner = subject or self.path(location[:-1]) or "The config"
        message = f'{owner} has no {noun} "{expected.shortened(key)}".{suggestion(key, names)}'
        hint = f"{noun.capitalize()}s of {owner}: {', '.join(sorted(names))}".replace(" of The ", " of the ")
        home = (self.part.misplaced_keys or {}).get(key) if len(location) == 1 else None
        if home and not nearest(key, names):
            hint = f'"{key}" belongs to {home}.\n{hint}'
        entry = self.entry(location)
        origin = entry.key if entry else self.part.value.origin
        return problem("E012" if subject else "E010", message, origin, hint, self.path(location))

    def subject(self, location: Location) -> str | None:
        """Return the name of the layer or other named thing that a key is an argument of; None for a section's key."""
        if len(location) == 1:
            return self.part.subject
        name = str(location[-2])
        return name if self.part.subject and name[:1].isupper() else None

    def missing_key(self, location: Location) -> Problem:
        """Say which key is missing and what it may be."""
        subject = self.subject(location)
        owner = subject or self.path(location[:-1]) or "The config"
        field = expected.field(self.schema, location)
        message = f'{owner} needs "{location[-1]}": {expected.phrase(field)}.'
        code = "E013" if subject else "E011"
        return problem(code, message, self.at(location[:-1]).origin, field.get("description"), self.path(location))

    def wrong_value(self, location: Location, detail: ErrorDetails) -> Problem:
        """Say what was expected and what was read."""
        field, value = expected.field(self.schema, location), self.at(location)
        names = expected.choices(field)
        text = value.value if isinstance(value, Scalar) else None
        near = suggestion(text, names) if isinstance(text, str) else ""
        given, colon, _ = detail["msg"].partition("Input should be ")
        wanted = expected.phrase(field)
        if wanted == "another value" and not given and colon:
            wanted = detail["msg"].removeprefix(colon)
        code = "E015" if detail["type"] in _RANGE else "E016" if names and isinstance(text, str) else "E014"
        message = f"Expected {wanted}; got {expected.read(value)}.{near}"
        return problem(code, message, value.origin, expected.advice(value, field), self.path(location))

    def at(self, location: Location) -> Value:
        """Return the value at a location, or the innermost one around it."""
        value: Value = self.part.value
        for step in location:
            child = paths.child(value, step)
            if child is None:
                break
            value = child
        return value

    def entry(self, location: Location) -> Entry | None:
        """Return the key and value at a location."""
        parent = self.at(location[:-1])
        return parent.entries.get(str(location[-1])) if isinstance(parent, Mapping) else None

    def path(self, location: Location) -> str:
        """Return a location's path in the config."""
        return dotted(location, self.part.path)


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
