"""The resolved config as plain data: every setting in its one canonical form, defaults filled in."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cnncli.config.schema.schema import Data, Document, Train
from cnncli.config.schema.tasks import DEFAULT
from cnncli.config.yaml.tree import Mapping, plain
from cnncli.layers import VOCABULARY
from cnncli.layers.base import Layer, Spec
from cnncli.layers.named import written as written_argument

_LATER = {
    **dict.fromkeys(("test", "folds", "fold", "group", "images", "masks", "classes", "ignore")),
    "on_bad_box": "error",
    "train_on_validation": False,
    "keep_proof": True,
    "shards": 1,
    "dice": 0.0,
    "boundary": 0.0,
    "focal": 0.0,
    "resolution": "output",
    "auxiliary": 0.4,
    "box": "giou",
    "box_weight": 5.0,
    "focal_alpha": 2.0,
    "focal_beta": 4.0,
}
"""Settings that came later, with their defaults: left out, so that the config of an older run stays what it was."""

_LATER_OF: dict[str, dict[str, Any]] = {"RandomCrop": {"fill_mode": "constant", "fill_value": 0.0}}
"""Likewise the arguments of one spec."""


def document(top: Document, data: Data, train: Train, tree: Mapping) -> dict[str, Any]:
    """Return the document of a config; the model stays as it is written, blocks and all.

    Args:
        top: The keys at the top.
        data: The data section.
        train: The train section.
        tree: The config as read, with references resolved.
    """
    model = tree.get("model")
    task = {} if top.task == DEFAULT else {"task": top.task}
    return {
        "name": top.name,
        **task,
        "seed": top.seed,
        "data": written(data),
        "model": plain(model) if model else {},
        "train": written(train),
    }


def written(value: Any) -> Any:
    """Return a setting as a config writes it: `{Name: {argument: value}}` for a spec, a list for a tuple."""
    if isinstance(value, Spec):
        return {value.type_name(): _fields(value)}
    if isinstance(value, BaseModel):
        return _fields(value)
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [written(item) for item in value]
    return value


def _fields(value: BaseModel) -> dict[str, Any]:
    found = {name: written(getattr(value, name)) for name in type(value).model_fields}
    later = _LATER | _LATER_OF.get(type(value).__name__, {})
    return {name: item for name, item in found.items() if name not in later or item != later[name]}


def complete(value: Any) -> Any:
    """Return a model as written with the defaults of every layer's arguments filled in."""
    if isinstance(value, list):
        return [complete(item) for item in value]
    if isinstance(value, str) and value in VOCABULARY:
        return {value: _with_defaults(value, {})}
    if not isinstance(value, dict):
        return value
    return {key: _with_defaults(key, item) if key in VOCABULARY else complete(item) for key, item in value.items()}


def _with_defaults(name: str, arguments: dict[str, Any] | None) -> dict[str, Any]:
    fields = VOCABULARY[name].model_fields
    defaults = {
        key: _argument(field.get_default(call_default_factory=True))
        for key, field in fields.items()
        if not field.is_required() and key not in Layer.placing
    }
    given = arguments or {}
    return {key: given.get(key, defaults.get(key)) for key in fields if key in given or key in defaults}


def _argument(value: Any) -> Any:
    return written_argument(value) if isinstance(value, Spec) else written(value)
