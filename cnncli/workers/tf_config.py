"""TF_CONFIG: how Kubeflow and others tell TensorFlow's processes of each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cnncli.errors import CnnError

NAME = "TF_CONFIG"
"""The environment variable."""

FORM = 'It looks like {"cluster": {"worker": ["node1:2222", "node2:2222"]}, "task": {"type": "worker", "index": 0}}.'
"""What to do where it cannot be read."""

_CHIEF, _WORKER = "chief", "worker"
_NOT_TRAINING = {
    "ps": "every worker holds all the weights, so there is nothing for a parameter server to do",
    "evaluator": "the first worker evaluates after each epoch",
}
"""Other types of tasks that TensorFlow knows, and why there are none here."""

_MOST_SHOWN = 100


def workers(environment: Mapping[str, str]) -> tuple[tuple[str, ...], int]:
    """Return "host:port" of each worker, by rank, and the rank of this one; a chief comes first, as in TensorFlow.

    Args:
        environment: The environment variables.

    Raises:
        CnnError: If the variable is missing or has another form, or names tasks that do not train.
    """
    document = _document(environment)
    cluster, task = _section(document, "cluster"), _section(document, "task")
    for each in cluster:
        _require_training(each)
    chiefs, others = _addresses(cluster, _CHIEF), _addresses(cluster, _WORKER)
    if len(chiefs) > 1:
        raise _unlike("cluster.chief", "one address", chiefs)
    kind = task.get("type")
    if not isinstance(kind, str):
        raise _unlike("task.type", "chief or worker", kind)
    _require_training(kind)
    index = _index(task, kind, len(chiefs if kind == _CHIEF else others))
    return (*chiefs, *others), index if kind == _CHIEF else len(chiefs) + index


def _document(environment: Mapping[str, str]) -> Any:
    text = environment.get(NAME, "").strip()
    if not text:
        raise CnnError(f"--cluster tf_config reads the environment variable {NAME}, which is not set", FORM)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CnnError(f"{NAME} is not JSON: {error}", FORM) from None


def _section(document: Any, key: str) -> dict[str, Any]:
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise _unlike(key, "an object", found)
    return found


def _addresses(cluster: Mapping[str, Any], kind: str) -> list[str]:
    found = cluster.get(kind, [])
    if not isinstance(found, list) or not all(isinstance(address, str) for address in found):
        raise _unlike(f"cluster.{kind}", "a list of addresses", found)
    return found


def _index(task: Mapping[str, Any], kind: str, num_tasks: int) -> int:
    """Return a task's place among those of its kind; a text of digits is a number, as for TensorFlow."""
    index = task.get("index")
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10:
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < num_tasks:
        raise _unlike("task.index", f"the place of this {kind} in cluster.{kind}, from 0", index)
    return index


def _require_training(kind: str) -> None:
    """Raise CnnError unless tasks of this kind train."""
    if kind in (_CHIEF, _WORKER):
        return
    because = f": {_NOT_TRAINING[kind]}" if kind in _NOT_TRAINING else ""
    raise CnnError(
        f"{NAME} names a task of the type {_shown(kind)}; only chief and worker are known{because}",
        "Leave it out of the cluster and start only workers.",
    )


def _unlike(key: str, expected: str, found: Any) -> CnnError:
    return CnnError(f"{NAME}: {key} is {_shown(found)}; expected {expected}", FORM)


def _shown(value: Any) -> str:
    """Return what was read as JSON, not longer than a line."""
    shown = "missing" if value is None else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
