"""A run's `metrics.jsonl`: one line of JSON an epoch, and what run.json says of the metrics in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnncli.errors import RunError
from cnncli.files import durable
from cnncli.files.characters import json_safe
from cnncli.files.read import DEEPEST, parse_json, read_bytes
from cnncli.runs import limits
from cnncli.runs.documents import METRICS_LINE, checked

BEFORE = ({"name": "loss", "higher_is_better": False}, {"name": "accuracy", "higher_is_better": True, "primary": True})
"""The metrics of runs from before run.json named them: all were classifiers."""

RESTORE = "Restore the file from a copy, or delete the line; `cnn resume` writes those after its checkpoint again."


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line and wait until it is on the disk; NaN becomes null.

    Raises:
        RunError: If the disk refuses.
    """
    try:
        durable.append_line(path, to_line(line))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines; none where there is no file, and without a last one torn by a crash.

    Raises:
        RunError: If another line is not JSON, or not what an epoch's line is.
    """
    try:
        texts = read_bytes(path, limits.METRICS, follow=False).decode(errors="replace").split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    del texts[-1]  # What follows the last newline.
    if any(text.count("{") + text.count("[") > DEEPEST for text in texts):
        return _read_each(path, texts)
    try:
        # One call for all lines takes half the time.
        lines: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
        if len(lines) == len(texts):
            for line in lines:
                METRICS_LINE(line)
            return lines
    except ValueError:  # Also of a line that is not what it should be.
        pass
    return _read_each(path, texts)


def _read_each(path: Path, texts: list[str]) -> list[dict[str, Any]]:
    """Read line by line where not all are whole."""
    lines = []
    for number, text in enumerate(texts, start=1):
        try:
            line = parse_json(text)
        except ValueError as error:
            if number < len(texts):
                raise RunError(f"{path}:{number} is not JSON: {error}", RESTORE) from error
        else:
            lines.append(checked(line, METRICS_LINE, f"{path}:{number}", RESTORE))
    return lines


def to_line(line: Mapping[str, Any]) -> str:
    """Return a line's text with its newline."""
    return json_safe(json.dumps(strict(line), ensure_ascii=False)) + "\n"


def strict(value: Any) -> Any:
    """Return `value` with every NaN and infinity as None: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def require_primary(record: Mapping[str, Any], where: str, hint: str) -> None:
    """Refuse a record whose metrics do not say how good a run is.

    Raises:
        RunError: Unless exactly one metric is the primary one.
    """
    found = sum(bool(metric.get("primary")) for metric in record.get("metrics", BEFORE))
    if found != 1:
        raise RunError(f"{where} cannot be read: {found} of its metrics are primary, expected 1", hint)


def names(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a run's metrics, as its run.json has them."""
    return tuple(metric["name"] for metric in record.get("metrics", BEFORE))


def primary(record: Mapping[str, Any]) -> str:
    """Return the name of the metric that says how good a run is."""
    return str(_primary(record)["name"])


def higher_is_better(record: Mapping[str, Any]) -> bool:
    """Say whether a higher value of the primary metric is a better one."""
    return bool(_primary(record)["higher_is_better"])


def best(record: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the best value of the primary metric on the validation split, or None where there is none.

    Args:
        record: What run.json holds.
        lines: Those of metrics.jsonl.
    """
    metric = _primary(record)
    found = (numbers.get(metric["name"]) for line in lines if isinstance(numbers := line.get("validation"), Mapping))
    values = [value for value in found if isinstance(value, float | int)]
    return (max if metric["higher_is_better"] else min)(values, default=None)


def best_line(lines: Sequence[Mapping[str, Any]], monitor: str, rises: bool) -> Mapping[str, Any] | None:
    """Return the line of the best epoch, chosen as training chooses it; None where no epoch has that metric.

    Args:
        lines: Those of metrics.jsonl.
        monitor: What chooses it: "validation_accuracy", or "accuracy" for that of training.
        rises: Whether a higher value is better.
    """
    split, name = ("validation" if monitor.startswith("validation_") else "train"), monitor.removeprefix("validation_")
    known = [line for line in lines if line.get(split, {}).get(name) is not None]
    sign = 1 if rises else -1
    # Of equal epochs, that with the lowest loss; of those the first.
    return max(known, key=lambda line: (sign * line[split][name], -(line[split].get("loss") or 0)), default=None)


def _primary(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(metric for metric in record.get("metrics", BEFORE) if metric.get("primary"))
    return found
