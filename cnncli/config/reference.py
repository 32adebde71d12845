"""What a config may hold, as plain facts: the arguments of layers, optimizers and the like, and the keys.

Everything here is read from the classes that check a config, so that it cannot differ from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from inspect import cleandoc
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cnncli.config.dump import flow
from cnncli.config.examples import KEYS, example_of
from cnncli.config.language.expected import phrase
from cnncli.config.schema.augmentation import AUGMENTATIONS, Augmentation
from cnncli.config.schema.json_schema import descriptions
from cnncli.config.schema.optimizers import OPTIMIZERS, Optimizer
from cnncli.config.schema.schedules import SCHEDULES, Schedule
from cnncli.config.schema.schema import Document, Section
from cnncli.layers import VOCABULARY
from cnncli.layers.arguments import ActivationName
from cnncli.layers.base import Spec
from cnncli.layers.composites import COMPOSITES
from cnncli.layers.initializers import INITIALIZERS, Initializer
from cnncli.layers.named import written
from cnncli.layers.regularizers import REGULARIZERS, Regularizer

FAMILIES: dict[str, dict[str, type[Spec]]] = {
    "layers": {**VOCABULARY, **COMPOSITES},
    "optimizers": dict(OPTIMIZERS),
    "schedules": dict(SCHEDULES),
    "augmentation": dict(AUGMENTATIONS),
    "initializers": dict(INITIALIZERS),
    "regularizers": dict(REGULARIZERS),
}
"""All named things of a config, by what they are."""

ACTIVATIONS: tuple[str, ...] = get_args(ActivationName)

_ONE_OF = {
    Optimizer: ("an optimizer", "optimizers"),
    Schedule: ("a schedule", "schedules"),
    Augmentation: ("a list of changes", "augmentation"),
    Initializer: ("an initializer", "initializers"),
    Regularizer: ("a regularizer", "regularizers"),
    Spec: ("a list of layers", "layers"),
}
"""What a field takes whose values are named things, and the family that has them; the first that fits counts."""

_FORMS = {"Parallel": "Parallel: [[…], […]]", "Resizing": "Resizing: {height: …, width: …}\nResizing: {like: …}"}
"""Things that take a value in place of arguments, or one of two sets of arguments."""

_NOTE = re.compile(r"^(?:Input shape|Output shape|Parameters|Reference): ")
_SECTION = re.compile(r"^(?:Args:|Raises: |Example: )")


@dataclass(frozen=True)
class Argument:
    """One argument of a named thing, or one key of a config.

    Attributes:
        name: Its name; for a key the whole path, "train.loss.class_weights".
        description: What it is.
        expected: What may be written, in words.
        default: What counts where it is left out, as YAML; empty: what its keys say; None: it must be given.
        family: The named things that it takes, "optimizers", or None.
        example: A line of a config that has it; None for an argument.
    """

    name: str
    description: str
    expected: str
    default: str | None
    family: str | None = None
    example: str | None = None

    @property
    def text(self) -> str:
        """Description, what may be written and the default in one text."""
        default = "; required" if self.default is None else self.default and f"; default {self.default}"
        return f"{self.description} Takes {self.expected}{default}.".strip()


@dataclass(frozen=True)
class Named:
    """A layer, an optimizer, a schedule …: what can be written as `{Name: {argument: value}}`.

    Attributes:
        name: Its name in a config.
        summary: What it does, in a sentence.
        paragraphs: More about it.
        notes: Shapes, parameters and reference, a line each.
        arguments: Its own arguments, in order.
        common: Arguments that all of its kind have: `name` and `trainable` of layers.
        in_full: A line of a config with all of its arguments, where there is one.
    """

    name: str
    summary: str
    paragraphs: tuple[str, ...]
    notes: tuple[str, ...]
    arguments: tuple[Argument, ...]
    common: tuple[Argument, ...]
    in_full: str | None = None

    @property
    def signature(self) -> str:
        """Its arguments in short, with their defaults: "filters, kernel_size, strides=[1, 1]"."""
        return ", ".join(a.name if a.default is None else f"{a.name}={a.default}" for a in self.arguments)

    @property
    def example(self) -> str:
        """How it is written, with the arguments that it needs."""
        if self.name in _FORMS:
            return _FORMS[self.name]
        needed = ", ".join(f"{argument.name}: …" for argument in self.arguments if argument.default is None)
        return f"{self.name}: {{{needed}}}" if needed else self.name


def named(name: str, spec: type[Spec]) -> Named:
    """Return the facts about a named thing."""
    summary, paragraphs, notes = _read(cleandoc(spec.__doc__ or ""))
    found = tuple(_arguments(spec))
    common = tuple(argument for argument in found if argument.name in ("name", "trainable"))
    own = sorted((argument for argument in found if argument not in common), key=lambda own: own.default is not None)
    family = next((family for family, specs in FAMILIES.items() if specs.get(name) is spec), "")
    return Named(name, summary, paragraphs, notes, tuple(own), common, example_of(family, name))


def keys() -> tuple[Argument, ...]:
    """Return every key of a config by its path, in the order of the schema."""
    return tuple(_keys(Document, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[Argument]:
    for argument, field in zip(_arguments(model), model.model_fields.values(), strict=True):
        path = prefix + argument.name
        yield replace(argument, name=path, example=KEYS.get(path))
        section = _class_in(field.annotation, Section)
        if section is not None:
            yield from _keys(section, f"{path}[]." if argument.expected.startswith("a list") else f"{path}.")


def _arguments(model: type[BaseModel]) -> Iterator[Argument]:
    schema, about = model.model_json_schema(), descriptions(model)
    definitions = schema.get("$defs", {})
    for name, field in model.model_fields.items():
        expected, family = _expected(field, _resolved(schema["properties"][name], definitions))
        default = None if field.is_required() else _default(field.default)
        yield Argument(name, about[name], expected, default, family)


def _expected(field: FieldInfo, part: dict[str, Any]) -> tuple[str, str | None]:
    """Return what may be written, and the family of named things that it takes."""
    text = phrase(part)
    or_null = " or null" if type(None) in get_args(field.annotation) else ""
    kind = _class_in(field.annotation, Spec)
    if kind is not None:
        words, family = next(found for base, found in _ONE_OF.items() if issubclass(kind, base))
        return ("a list of lists of layers" if text == "a list of lists" else words) + or_null, family
    if phrase({"enum": list(ACTIVATIONS)}) in text:
        return f"an activation{or_null}", "activations"
    mappings = (option for option in part.get("anyOf", ()) if option.get("type") == "object")
    if "mapping" not in text and any(option.get("additionalProperties") for option in mappings):
        text += ", or a mapping"
    return text, None


def _class_in(annotation: Any, base: type) -> Any:
    """Return the class below `base` that an annotation names, at any depth: Group in `tuple[Group, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, base):
        return annotation
    return next(filter(None, (_class_in(inner, base) for inner in get_args(annotation))), None)


def _resolved(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a schema with the parts that it refers to in place."""
    while "$ref" in part:
        part = definitions[part["$ref"].rpartition("/")[2]]
    if "anyOf" in part:
        return {**part, "anyOf": [_resolved(option, definitions) for option in part["anyOf"]]}
    return part


def _default(value: Any) -> str:
    """Return a default as YAML on one line; nothing for a section, whose keys have their own."""
    return "" if isinstance(value, Section) else flow(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return written(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _read(doc: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the summary of a docstring, its further paragraphs, and its notes on shapes and the like."""
    summary, *parts = doc.split("\n\n")
    paragraphs, notes = [], []
    for part in parts:
        if _NOTE.match(part) or _SECTION.match(part):
            notes += [note for note in _unfolded(part) if _NOTE.match(note)]
        else:
            paragraphs.append(" ".join(part.split()))
    return " ".join(summary.split()), tuple(paragraphs), tuple(notes)


def _unfolded(text: str) -> list[str]:
    """Return the lines of a text, those that are indented joined to the one before."""
    return re.sub(r"\n +", " ", text).splitlines()
