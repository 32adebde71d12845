"""The sets that are known by name: their classes, and where their arrays come from."""

from __future__ import annotations

from pathlib import Path

from cnncli.datasets import arrays
from cnncli.datasets.arrays import Arrays

_DIGITS = tuple(str(digit) for digit in range(10))

CLASSES: dict[str, tuple[str, ...]] = {
    "digits": _DIGITS,
    "mnist": _DIGITS,
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
"""Class names of the built-in sets, in the order of their labels."""


def load(source: str, path: str | None) -> Arrays:
    """Return a built-in set: the embedded digits, a local copy, or what `keras.datasets` downloads.

    Raises:
        DataError: If the local copy is missing or damaged, or the download fails.
    """
    if source == "digits":
        return arrays.read(Path(__file__).with_name("digits.npz"))
    if path is not None:
        return arrays.read(Path(path).expanduser())
    from cnncli.engine.builtin import download

    return arrays.from_mapping(download(source), f"keras.datasets.{source}")
