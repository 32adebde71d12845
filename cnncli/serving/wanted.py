"""What an export is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """What `cnn export` was asked for.

    Attributes:
        kinds: Formats; empty for all that can be written here.
        quantize: "float16" or "int8" for LiteRT, or None.
        checkpoint: "best", "last", or a checkpoint's path.
        max_drop: Largest share of accuracy that a quantised network may cost, or None for the format's own.
        data: Where the run's examples are now, or None where its config says it.
    """

    kinds: Sequence[str] = ()
    quantize: str | None = None
    checkpoint: str = "best"
    max_drop: float | None = None
    data: Path | None = None
