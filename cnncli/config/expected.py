"""What a setting may be, in words: from the JSON Schema of its field."""

from __future__ import annotations

from typing import Any

from cnncli.config.tree import Mapping, Scalar, Sequence, Value

Fragment = dict[str, Any]
"""A part of a JSON Schema."""

_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}
_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("pattern", "matching {}"),
)


def field(schema: Fragment, path: tuple[str | int, ...]) -> Fragment:
    """Return the part of a model's schema that describes what stands at `path`; empty where nothing does."""
    return _descend(schema, path, schema.get("$defs", {}))


def _descend(part: Fragment, path: tuple[str | int, ...], definitions: Fragment) -> Fragment:
    part = _resolved(part, definitions)
    if not path:
        return part
    for option in [part, *part.get("anyOf", ())]:
        found = _child(_resolved(option, definitions), path[0])
        if found is not None:
            return _descend(found, path[1:], definitions)
    return {}


def _resolved(part: Fragment, definitions: Fragment) -> Fragment:
    while "$ref" in part:
        part = definitions[part["$ref"].rpartition("/")[2]]
    if "anyOf" in part:
        return {**part, "anyOf": [_resolved(option, definitions) for option in part["anyOf"]]}
    return part


def _child(part: Fragment, key: str | int) -> Fragment | None:
    if isinstance(key, int):
        places = part.get("prefixItems", [])
        found = places[key] if key < len(places) else part.get("items")
    else:
        found = part.get("properties", {}).get(key, part.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def choices(part: Fragment) -> list[str]:
    """Return the texts that may be written, where a field names them."""
    found = [str(c) for c in part.get("enum", [part["const"]] if "const" in part else [])]
    for option in part.get("anyOf", ()):
        found += choices(option)
    return found


def phrase(part: Fragment) -> str:
    """Say what may be written: "an integer, at least 1", "one of same, valid"."""
    if "anyOf" in part and "type" not in part:
        return " or ".join(dict.fromkeys(phrase(option) for option in part["anyOf"]))
    if "const" in part or "enum" in part:
        names = choices(part)
        return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    words = _TYPES.get(part.get("type", ""), "another value")
    if "prefixItems" in part:
        words = f"a list of {len(part['prefixItems'])}"
    bounds = [text.format(part[key]) for key, text in _BOUNDS if key in part]
    return ", ".join([words, *bounds])


def read(value: Value) -> str:
    """Say what was written: 'the text "ten"', "the number 1.5"."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence):
        return f"a list of {len(value.items)}"
    return _scalar(value)


def _scalar(value: Scalar) -> str:
    if value.value is None:
        return "nothing (null)"
    if isinstance(value.value, bool):
        return str(value.value).lower()
    if isinstance(value.value, str):
        text = value.value if len(value.value) <= 40 else value.value[:39] + "…"
        return f'the text "{text}"'
    return f"the number {value.value}"
