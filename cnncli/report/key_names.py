"""Short names of keys, for headings and axes."""

from __future__ import annotations

from collections.abc import Sequence


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return a short name for each key, no two equal.

    It is the last part of the path, with the layer's number where it is a layer's; where two keys would have one name,
    theirs are longer by as many parts as it takes: Adam.learning_rate beside SGD.learning_rate.
    """
    names = {key: short_name(key) for key in keys}
    for key in keys:
        parts = 2
        while list(names.values()).count(names[key]) > 1:
            for other in [other for other in keys if names[other] == names[key]]:
                names[other] = ".".join(other.split(".")[-parts:])
            parts += 1
    return names


def short_name(key: str) -> str:
    """Return the last part of a key, with the layer's number where it is a layer's."""
    *before, last = key.split(".")
    layer = next((part for part in reversed(before) if part.endswith("]")), None)
    return last if layer is None else f"{layer}.{last}"
