"""The config language as one JSON Schema: what an editor completes, explains and checks with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from cnncli.config.schema.augmentation import AUGMENTATIONS
from cnncli.config.schema.optimizers import OPTIMIZERS
from cnncli.config.schema.schedules import SCHEDULES
from cnncli.config.schema.schema import Data, Document, Model, Train
from cnncli.layers import VOCABULARY
from cnncli.layers.base import Spec
from cnncli.layers.composites import Composite, Residual

Schema = dict[str, Any]

BLOCK_NAME = "^[a-z][A-Za-z0-9_]*$"
_ARGUMENTS = re.compile(r"\nArgs:\n(.*?)(?:\n\n|\n?$)", re.DOTALL)
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_COMMON = {
    "activation": "Activation function; null: none.",
    "beta_initializer": "Initializer of beta.",
    "beta_regularizer": "Regularizer of beta; null: none.",
    "bias_initializer": "Initializer of the bias.",
    "bias_regularizer": "Regularizer of the bias; null: none.",
    "depthwise_initializer": "Initializer of the depthwise kernel.",
    "depthwise_regularizer": "Regularizer of the depthwise kernel; null: none.",
    "dilation_rate": "Dilation: distance between neighbouring positions of the window.",
    "filters": "Number of output channels.",
    "gamma_initializer": "Initializer of gamma.",
    "gamma_regularizer": "Regularizer of gamma; null: none.",
    "groups": "Number of groups into which channels and filters are divided.",
    "keepdims": "Whether to keep the pooled axes, with length 1.",
    "kernel_initializer": "Initializer of the kernel.",
    "kernel_regularizer": "Regularizer of the kernel; null: none.",
    "kernel_size": "Size of the window.",
    "moving_mean_initializer": "Initializer of the moving mean.",
    "moving_variance_initializer": "Initializer of the moving variance.",
    "padding": "same pads with zeros to keep the size at stride 1; valid uses only windows that fit.",
    "pointwise_initializer": "Initializer of the pointwise kernel.",
    "pointwise_regularizer": "Regularizer of the pointwise kernel; null: none.",
    "pool_size": "Size of the window.",
    "strides": "Distance between neighbouring windows.",
    "use_bias": "Whether to add a learned bias to every output channel.",
}
"""What arguments mean that many layers have; a layer's docstring may say more."""
_LONG = 600
"""Characters above which a part that recurs is stated once, among the definitions."""


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a config."""
    definitions = _Definitions()
    top = definitions.model(Document)
    top["properties"] |= {
        "data": {"$ref": "#/$defs/data"},
        "model": {"$ref": "#/$defs/model"},
        "train": {"$ref": "#/$defs/train"},
    }
    definitions.all |= {
        "data": definitions.section(Data, augmentation=_list_of("augmentation")),
        "train": definitions.section(Train, optimizer=_ref("optimizer"), schedule=_ref("schedule")),
        "augmentation": definitions.named(AUGMENTATIONS),
        "optimizer": definitions.named(OPTIMIZERS),
        "schedule": definitions.named(SCHEDULES),
        "reference": {
            "description": "A value of the config, ${path}, or a block's parameter, $name.",
            "type": "string",
            "pattern": r"^\$",
        },
        **_model(definitions),
    }
    required = [key for key in top.pop("required") if key not in ("data", "model", "name")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cnncli config",
        **top,
        "required": required,
        "anyOf": [{"required": ["name", "data", "model"]}, {"required": ["extends"]}],
        "$defs": dict(sorted(definitions.all.items())),
    }


def _model(definitions: _Definitions) -> dict[str, Schema]:
    """Return the definitions of the model: its blocks, lists of layers, and layers."""
    times: Schema = {"type": "integer", "minimum": 1, "maximum": 1000, "description": "Number of repetitions."}
    inputs = definitions.model(Composite)["properties"]["inputs"]
    branches: Schema = {"anyOf": [{"type": "array", "minItems": 2, "items": _ref("layers")}, _ref("reference")]}
    parts = {"layers": _ref("some_layers"), "inputs": inputs}
    composites = {
        "Parallel": {"anyOf": [*branches["anyOf"], _object({"branches": branches, "inputs": inputs}, ["branches"])]},
        "Residual": _object({**parts, "shortcut": _ref("layers")}, ["layers"]),
        "Repeat": _object({**parts, "times": _open(times)}, ["times", "layers"]),
    }
    composites["Residual"]["description"] = _summary(Residual)
    layer = definitions.named(VOCABULARY)
    layer["anyOf"][1]["properties"] |= composites
    layer["anyOf"][1]["patternProperties"] = {
        BLOCK_NAME: {"type": ["object", "null"], "description": "Use of a block."}
    }
    layer["anyOf"].append({"type": "string", "pattern": BLOCK_NAME, "description": "Use of a block."})
    layer["anyOf"].append(_ref("reference"))
    parameter = {"anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}]}
    parameters = {"type": "array", "items": parameter, "description": "Names, or {name: default}."}
    block = _object({"parameters": parameters, "layers": _ref("some_layers")}, ["layers"])
    blocks = {
        "type": ["object", "null"],
        "description": "Named lists of layers with parameters, used like a layer.",
        "patternProperties": {BLOCK_NAME: _ref("block")},
        "additionalProperties": False,
    }
    properties = definitions.model(Model)["properties"]
    heads: Schema = {
        "type": ["object", "null"],
        "description": properties["heads"]["description"],
        "patternProperties": {BLOCK_NAME: _ref("some_layers")},
        "additionalProperties": False,
    }
    model = {
        "blocks": blocks,
        "layers": _ref("some_layers"),
        "heads": heads,
        "outputs": properties["outputs"],
        "nms": properties["nms"],
    }
    return {
        "layer": layer,
        "layers": {"anyOf": [_list_of("layer"), _ref("reference")]},
        "some_layers": {"anyOf": [{**_list_of("layer"), "minItems": 1}, _ref("reference")]},
        "block": block,
        "model": {
            **_object(model, ["layers"]),
            # A config that extends another may change a block alone.
            "required": [],
        },
    }


class _Definitions:
    """Parts of the schema that others refer to."""

    def __init__(self) -> None:
        self.all: dict[str, Schema] = {}

    def model(self, model: type[BaseModel]) -> Schema:
        """Return a model's schema, with short descriptions, and references allowed for every value."""
        schema = model.model_json_schema(ref_template="#/$defs/{model}")
        inner = schema.pop("$defs", {})
        about = descriptions(model)
        for name, part in schema["properties"].items():
            part.pop("title", None)
            part.setdefault("description", about[name])
        properties = {name: self._shared(name, _open(part)) for name, part in schema["properties"].items()}
        self.all |= {name: _described(_open(part)) for name, part in inner.items() if name not in _BASES}
        return _described({**schema, "properties": properties})

    def section(self, model: type[BaseModel], **parts: Schema) -> Schema:
        """Return a section's schema with parts of its own; nothing is required of one that extends another."""
        schema = self.model(model)
        for name, part in parts.items():
            schema["properties"][name] = {"description": schema["properties"][name]["description"], **part}
        schema.pop("required", None)
        return schema

    def named(self, vocabulary: Mapping[str, type[Spec]]) -> Schema:
        """Return the schema of a named thing: a bare name, or one name with its arguments."""
        schemas = {name: self.model(spec) for name, spec in vocabulary.items()}
        bare = [name for name, schema in schemas.items() if not schema.get("required") and "anyOf" not in schema]
        self.all |= schemas
        one = {name: _ref(name) if name not in bare else {"anyOf": [_ref(name), {"type": "null"}]} for name in schemas}
        with_arguments = {**_object(one, []), "minProperties": 1, "maxProperties": 1}
        return {"anyOf": [{"enum": bare}, with_arguments]}

    def _shared(self, name: str, part: Schema) -> Schema:
        """State a long part once: what every initializer may be, say."""
        description, default = part.pop("description", ""), part.pop("default", None)
        text = json.dumps(part, sort_keys=True)
        about = {"description": description} if description else {}
        about |= {"default": default} if default is not None else {}
        if len(text) < _LONG:
            return {**part, **about}
        kind = name.rpartition("_")[2]
        self.all.setdefault(kind, part)
        return {**_ref(kind), **about} if self.all[kind] == part else {**part, **about}


_BASES = ("Augmentation", "Data", "Model", "Optimizer", "Schedule", "Spec", "Train")
"""Classes that the schema states in other words."""


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _open(part: Schema) -> Schema:
    """Allow a reference wherever a value may stand."""
    if "properties" in part:
        return {**part, "properties": {name: _open(inner) for name, inner in part["properties"].items()}}
    about: Schema = {key: part[key] for key in ("description", "default") if key in part}
    bare = {key: value for key, value in part.items() if key not in about and key != "title"}
    if bare.get("type") == "string" and not bare.keys() & {"enum", "pattern", "const"}:
        return part
    for key in ("items", "additionalProperties"):
        if isinstance(bare.get(key), dict):
            bare[key] = _open(bare[key])
    if "prefixItems" in bare:
        bare["prefixItems"] = [_open(item) for item in bare["prefixItems"]]
    options = [_open_items(option) for option in bare["anyOf"]] if "anyOf" in bare else [bare]
    return {"anyOf": [*options, _ref("reference")], **about}


def _open_items(option: Schema) -> Schema:
    """Allow references inside a list that is one of several alternatives."""
    return {**option, "items": _open(option["items"])} if isinstance(option.get("items"), dict) else option


def _described(schema: Schema) -> Schema:
    text = schema.get("description", "")
    return {**schema, "description": text.partition("\n\n")[0]} if text else schema


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").partition("\n\n")[0]


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what each field of a model means: by itself, by a docstring, or as everywhere."""
    documented = _documented(model)
    fields = model.model_fields.items()
    return {name: field.description or documented.get(name, _COMMON.get(name, "")) for name, field in fields}


def _documented(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a model and its bases say of each argument."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        section = _ARGUMENTS.search(_dedented(kind.__doc__ or ""))
        if section:
            found |= {name: " ".join(text.split()) for name, text in _ARGUMENT.findall(section[1])}
    return found


def _dedented(text: str) -> str:
    from inspect import cleandoc

    return cleandoc(text)
