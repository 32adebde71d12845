"""The JSON Schema: valid itself, true of good configs, and against bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cnncli.config import zoo
from cnncli.config.dump import dump, resolved
from cnncli.config.load import load
from cnncli.config.schema.json_schema import json_schema
from cnncli.config.starter import starter
from cnncli.config.yaml import parser
from cnncli.config.yaml.tree import plain

HEAD = "name: example\ndata: {source: mnist, image_size: [28, 28]}\n"
GOOD = {
    **{name: zoo.locate(name).read_text(encoding="utf-8") for name in zoo.names()},
    "starter": starter("first", "first.yaml"),
    "extends": "extends: base.yaml\ntrain: {epochs: 3}\n",
    "references": HEAD
    + 'values: {n: 3}\nmodel: {layers: [{Conv2D: {filters: "${values.n}", kernel_size: ["${values.n}", 1]}}]}\n',
    "bare names": HEAD + "model: {layers: [Flatten, {Flatten: null}, {Dense: {units: 3}}]}\ntrain: {optimizer: Lion}\n",
    "initializers": HEAD
    + "model: {layers: [{Dense: {units: 3, kernel_initializer: he_normal, kernel_regularizer: {L2: {l2: 0.1}}}}]}\n",
    "composites": HEAD
    + "model: {layers: [{Parallel: [[ReLU], []]}, {Repeat: {times: 2, layers: [{Residual: {layers: [ReLU]}}]}}]}\n",
    "blocks": HEAD + "model: {blocks: {b: {parameters: [n, {m: 3}], layers: [ReLU]}}, layers: [b: {n: 3}, b]}\n",
    "inputs": HEAD
    + "model: {blocks: {b: {layers: [ReLU]}}, outputs: {a: s, b: r}, layers: [{ReLU: {name: r}}, {b: {inputs: input}}, "
    "{Add: {inputs: [r, input], name: s}}, {Parallel: {inputs: r, branches: [[ReLU], []]}}, "
    "{Residual: {inputs: [r], layers: [ReLU]}}, {Repeat: {inputs: s, times: 2, layers: [ReLU]}}]}\n",
    "layers as parameters": HEAD
    + "model: {blocks: {b: {parameters: [body, {end: []}], layers: [{Residual: {layers: $body, shortcut: $end}}, "
    "$end, {Parallel: [$body, []]}]}}, layers: [b: {body: [ReLU]}]}\n",
    "groups": HEAD + "model: {layers: [Flatten]}\ntrain: {groups: [{layers: 'conv*', learning_rate: 1e-4}]}\n",
}
BAD = {
    "nothing": "{}",
    "no model": HEAD,
    "unknown key": HEAD + "model: {layers: [Flatten]}\nepochs: 3\n",
    "unknown section key": HEAD + "model: {layers: [Flatten]}\ntrain: {epoch: 3}\n",
    "unknown source": HEAD.replace("mnist", "mnit") + "model: {layers: [Flatten]}\n",
    "one length": HEAD.replace("[28, 28]", "[28]") + "model: {layers: [Flatten]}\n",
    "unknown layer": HEAD + "model: {layers: [{Conv2d: {filters: 3, kernel_size: 3}}]}\n",
    "unknown bare layer": HEAD + "model: {layers: [Flaten]}\n",
    "unknown argument": HEAD + "model: {layers: [{Dense: {unit: 3}}]}\n",
    "missing argument": HEAD + "model: {layers: [Dense]}\n",
    "missing filters": HEAD + "model: {layers: [{Conv2D: {kernel_size: 3}}]}\n",
    "two layers in one": HEAD + "model: {layers: [{Flatten: {}, ReLU: {}}]}\n",
    "wrong type": HEAD + "model: {layers: [{Dense: {units: ten}}]}\n",
    "out of range": HEAD + "model: {layers: [{Dropout: {rate: 1.5}}]}\n",
    "inside a branch": HEAD + "model: {layers: [{Parallel: [[{Dense: {unit: 3}}], []]}]}\n",
    "inside a block": HEAD + "model: {blocks: {b: {layers: [{Dense: {unit: 3}}]}}, layers: [b]}\n",
    "block's name": HEAD + "model: {blocks: {B: {layers: [ReLU]}}, layers: [ReLU]}\n",
    "unknown optimizer": HEAD + "model: {layers: [Flatten]}\ntrain: {optimizer: SGDD}\n",
    "unknown optimizer argument": HEAD + "model: {layers: [Flatten]}\ntrain: {optimizer: {SGD: {lr: 1}}}\n",
    "unknown initializer": HEAD + "model: {layers: [{Dense: {units: 3, kernel_initializer: he}}]}\n",
    "inputs of numbers": HEAD + "model: {layers: [{ReLU: {inputs: 3}}]}\n",
    "inputs of a composite": HEAD + "model: {layers: [{Residual: {inputs: {}, layers: [ReLU]}}]}\n",
    "a list as output": HEAD + "model: {layers: [ReLU], outputs: {a: [b]}}\n",
    "empty layers": HEAD + "model: {layers: []}\n",
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """A validator of the schema."""
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


def document(text: str) -> Any:
    """Return a config as an editor's YAML extension sees it."""
    return plain(parser.parse(text, "test.yaml"))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_config_is_valid(name: str, validator: Draft202012Validator) -> None:
    """The zoo, the starter, and every form that the language allows."""
    assert [error.message for error in validator.iter_errors(document(GOOD[name]))] == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_config_is_not(name: str, validator: Draft202012Validator) -> None:
    """What an editor should underline."""
    assert not validator.is_valid(document(BAD[name]))


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "sobel"])
def test_what_is_written_back_is_valid(name: str, validator: Draft202012Validator) -> None:
    """A run's config.yaml, and the resolved config with all defaults."""
    config = load(name)
    assert validator.is_valid(document(dump(config)))
    assert validator.is_valid(document(resolved(config)))


def test_every_setting_is_described() -> None:
    """An editor shows a sentence for each key and argument."""
    definitions = json_schema()["$defs"]
    without = [
        f"{name}.{key}"
        for name, part in definitions.items()
        for key, inner in part.get("properties", {}).items()
        if not inner.get("description") and "$ref" not in inner
    ]
    assert without == []


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    """No editor stumbles over a missing definition."""
    schema = json_schema()

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            found = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return found + [name for inner in part.values() for name in references(inner)]
        return [name for inner in part for name in references(inner)] if isinstance(part, list) else []

    assert {name.removeprefix("#/$defs/") for name in references(schema)} <= schema["$defs"].keys()


def test_bad_goldens_that_are_wrong_in_form_are_invalid(validator: Draft202012Validator) -> None:
    """What the compiler says of keys and names, the editor says as well."""
    golden = Path(__file__).parents[1] / "language" / "golden"
    for name in (
        "unknown_key",
        "unknown_argument",
        "unknown_layer",
        "unknown_optimizer",
        "no_such_choice",
        "wrong_types",
    ):
        assert not validator.is_valid(document((golden / f"{name}.yaml").read_text(encoding="utf-8"))), name
