"""What a setting may be, in words: from the JSON Schema of its field."""

from __future__ import annotations

import re
from typing import Any

from cnncli.config.yaml.tree import Mapping, Scalar, Sequence, Value
from cnncli.plural import counted

Fragment = dict[str, Any]
"""A part of a JSON Schema."""
Location = tuple[str | int, ...]
"""Keys and indices that lead to a value."""

_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}
_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
)
_MAX_SHOWN = 40
"""Characters of a text that a message repeats."""


def field(schema: Fragment, location: Location) -> Fragment:
    """Return the part of a model's schema for what stands at a location; empty where nothing may."""
    return _descend(schema, location, schema.get("$defs", {}))


def _descend(part: Fragment, location: Location, definitions: Fragment) -> Fragment:
    part = _resolved(part, definitions)
    if not location:
        return part
    for option in [part, *part.get("anyOf", ())]:
        found = _child(_resolved(option, definitions), location[0])
        if found is not None:
            return _descend(found, location[1:], definitions)
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


def keys(part: Fragment) -> list[str]:
    """Return the keys that a mapping may have."""
    options = [part, *part.get("anyOf", ())]
    return [name for option in options for name in option.get("properties", {})]


def choices(part: Fragment) -> list[str]:
    """Return the texts that may be written, where a field names them."""
    found = [str(c) for c in part.get("enum", [part["const"]] if "const" in part else [])]
    for option in part.get("anyOf", ()):
        found += choices(option)
    return found


def phrase(part: Fragment) -> str:
    """Say what may be written: "an integer, at least 1", "one of same, valid"."""
    if "anyOf" in part and "type" not in part:
        return _either(part["anyOf"])
    if "const" in part or "enum" in part:
        names = _one_spelling(choices(part))
        return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    if part.get("type") == "array":
        return _list(part)
    words = _TYPES.get(part.get("type", ""), "another value")
    bounds = [text.format(part[key]) for key, text in _BOUNDS if key in part]
    if "pattern" in part:
        words += ' of letters, digits and "_", "-", "."'
    return f"{words}, {' and '.join(bounds)}" if bounds else words


def _either(options: list[Fragment]) -> str:
    named = [option for option in options if "enum" in option]
    if named:
        # The alternatives to a name are the same names with arguments.
        options = [
            option for option in options if option.get("type") != "object" or "additionalProperties" not in option
        ]
    words = list(dict.fromkeys(phrase(option) for option in options))
    return (", or " if any("," in each for each in words) else " or ").join(
        each.replace(f", each {words[0]}", " of this kind") for each in words
    )


def _one_spelling(names: list[str]) -> list[str]:
    """Return names without those that are another's in snake case: HeNormal stands for he_normal too."""
    return list({name.replace("_", "").lower(): name for name in reversed(names)}.values())[::-1]


def _list(part: Fragment) -> str:
    places, number = part.get("prefixItems"), _num_items(part)
    item = places[0] if places else part.get("items")
    if not number:
        return (
            "a list of at least 1 item"
            if part.get("minItems") == 1
            else "a list of lists"
            if _is_list(item)
            else "a list"
        )
    each = phrase(item) if isinstance(item, dict) and item.get("type") not in (None, "object") else ""
    return f"a list of {counted(number, 'item')}, each {each}" if each else f"a list of {counted(number, 'item')}"


def _num_items(part: Fragment) -> int | None:
    """Return the number of items of a list, where it is fixed."""
    if "prefixItems" in part:
        return len(part["prefixItems"])
    least, most = part.get("minItems"), part.get("maxItems")
    return least if least == most else None


def _is_list(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "array"


def read(value: Value) -> str:
    """Say what was written: 'the text "ten"', "the number 1.5"."""
    if isinstance(value, Mapping):
        return "a mapping" if value.entries else "an empty mapping"
    if isinstance(value, Sequence):
        return f"a list of {counted(len(value.items), 'item')}" if value.items else "an empty list"
    return _scalar(value)


def _scalar(value: Scalar) -> str:
    if value.value is None:
        return "nothing (null)"
    if isinstance(value.value, bool):
        return str(value.value).lower()
    if isinstance(value.value, str):
        return f'the string "{shortened(value.value)}"'
    return f"the number {value.value}"


def shortened(text: str) -> str:
    """Return a text for a message, cut where it is long."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def advice(value: Value, part: Fragment) -> str | None:
    """Say how to write what was probably meant, for the usual slips."""
    if not isinstance(value, Scalar):
        return None
    options = [part, *part.get("anyOf", ())]
    if isinstance(value.value, str):
        return _advice_on_text(value.value, value.quoted, options)
    if isinstance(value.value, (int, float)) and not isinstance(value.value, bool):
        return _advice_on_number(value.value, options)
    return None


def _advice_on_text(text: str, quoted: bool, options: list[Fragment]) -> str | None:
    wanted = {option.get("type") for option in options}
    if "boolean" in wanted and text.lower() in ("yes", "on", "no", "off", "y", "n"):
        return f"Write {'true' if text.lower() in ('yes', 'on', 'y') else 'false'}; in YAML 1.2, {text} is a string."
    if "null" in wanted and text.lower() in ("none", "nil"):
        return "Write null for no value."
    if quoted and wanted & {"integer", "number"} and text.replace(".", "", 1).isdigit():
        return f"Write {text} without quotes."
    if "array" in wanted and text[:1] == "(":
        return f"Write a list in square brackets{': [' + text[1:-1] + ']' if text.endswith(')') else ''}."
    sides = re.fullmatch(r"(\d+) ?[,x×*] ?(\d+)", text)
    if sides and _takes_pair(options):
        return f"Write a list in square brackets: [{sides[1]}, {sides[2]}]."
    if wanted & {"integer", "number"}:
        return _advice_on_digits(text, options)
    return None


def _advice_on_digits(text: str, options: list[Fragment]) -> str | None:
    """Say how to write a number with a decimal comma, separators or a percent sign, which is a string in YAML."""
    percent = re.fullmatch(r"(\d+(?:[.,]\d+)?) ?%", text)
    if percent and _is_share(options):
        return _share(float(percent[1].replace(",", ".")))
    if re.fullmatch(r"[1-9]\d{0,2}([,_]\d{3})+|\d+(_\d+)+", text):
        return f"Write {text.replace('_', '').replace(',', '')}."
    if re.fullmatch(r"\d+,\d+", text) and any(option.get("type") == "number" for option in options):
        return f"Write {text.replace(',', '.')}: decimals are written with a point."
    return None


def _advice_on_number(number: float, options: list[Fragment]) -> str | None:
    if _is_share(options) and 2 <= number <= 100:
        return _share(number)
    takes_numbers = any(option.get("type") in ("integer", "number") for option in options)
    if isinstance(number, int) and not takes_numbers and _takes_pair(options):
        return f"Write [{number}, {number}]."
    return None


def _takes_pair(options: list[Fragment]) -> bool:
    return any(option.get("type") == "array" and _num_items(option) == 2 for option in options)


def _is_share(options: list[Fragment]) -> bool:
    return any(1 in (option.get("maximum"), option.get("exclusiveMaximum")) for option in options)


def _share(percent: float) -> str:
    return f"Write {percent / 100:g} for {percent:g} %: the value is a share, from 0 to 1."
