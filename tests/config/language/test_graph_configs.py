"""Networks whose layers name what they read: written, checked, and written back."""

from __future__ import annotations

import pytest

from cnncli.config import zoo
from cnncli.config.dump import dump, resolved
from cnncli.config.load import load_document, loads
from cnncli.config.schema.schema import Config
from cnncli.errors import ConfigError

HEAD = "name: example\ndata: {source: mnist, image_size: [28, 28]}\n"
UNET = (zoo.directory() / "unet.yaml").read_text(encoding="utf-8")
GATED = f"""{HEAD}
model:
  blocks:
    gate:
      parameters: [name, {{body: [GlobalAveragePooling2D]}}, {{inside: ReLU}}, {{after: []}}]
      layers:
        - ReLU: {{name: plane}}
        - $body
        - Dense: {{units: 8}}
        - $inside
        - Reshape: {{target_shape: [1, 1, 8], name: weights}}
        - Multiply: {{inputs: [plane, weights], name: $name}}
        - $after
  layers:
    - Conv2D: {{filters: 8, kernel_size: 3, name: stem}}
    - gate: {{name: a}}
    - gate:
        name: b
        body: [MaxPooling2D, GlobalMaxPooling2D]
        inside: {{Activation: {{activation: tanh}}}}
        inputs: stem
    - Concatenate: {{inputs: [a, b], name: both}}
    - Parallel:
        inputs: both
        branches:
          - - Conv2D: {{filters: 8, kernel_size: 1}}
            - gate: {{name: c, after: [ReLU, ReLU]}}
          - []
    - Flatten: {{name: end}}
  outputs: {{one: end, Multiply: stem}}
"""


def wiring(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the names that each node reads."""
    names = [*(node.name for node in config.nodes), "input"]
    return {node.name: tuple(names[i] for i in node.inputs) for node in config.nodes}


def test_blocks_take_layers_as_parameters() -> None:
    """A list stands in the place of its parameter, a single layer too; a default may be a list, also an empty one."""
    config = loads(GATED, "test.yaml")
    found = wiring(config)
    assert found["global_average_pooling2d"] == ("plane",)
    assert found["max_pooling2d"] == ("plane_1",)
    assert found["global_max_pooling2d"] == ("max_pooling2d",)
    assert found["plane_1"] == ("stem",)
    assert found["weights_1"] == ("activation",)
    assert [found[name] for name in "abc"] == [("plane", "weights"), ("plane_1", "weights_1"), ("plane_2", "weights_2")]
    assert found["re_lu_2"] == ("c",)
    assert found["concatenate"] == ("re_lu_3", "both")
    assert config.outputs == {"one": len(config.nodes) - 1, "Multiply": 0}


@pytest.mark.parametrize("text", [UNET, GATED], ids=["unet", "gated"])
def test_a_graph_written_and_read_again_is_the_same(text: str) -> None:
    """Names, outputs and parameters survive, also with all defaults written out."""
    config = loads(text)
    assert loads(dump(config)) == config
    assert load_document(config.document) == config
    assert loads(resolved(config)).nodes == config.nodes
    assert loads(resolved(config)).outputs == config.outputs


def test_parameters_name_layers() -> None:
    """The blocks of the U-Net name their last layer, and read the one that they are told."""
    found = wiring(loads(UNET))
    assert found["concatenate"] == ("encoder4", "up")
    assert found["concatenate_3"] == ("encoder1", "up_3")


def test_places_inside_parameters() -> None:
    """A layer that does not fit is shown where it is written: in the list that the block was given."""
    text = GATED.replace("[MaxPooling2D, Global", "[{MaxPooling2D: {pool_size: 99}}, Global")
    with pytest.raises(ConfigError) as caught:
        loads(text, "test.yaml")
    (problem,) = caught.value.problems
    assert problem.code == "E040"
    line = text.splitlines()[(problem.line or 0) - 1]
    assert line[(problem.column or 0) - 1 :].startswith("MaxPooling2D")


def test_problems_of_names_are_told_with_others() -> None:
    """A wrong argument hides no unknown name before it, and a name that the wrong layer may have is not doubted."""
    text = f"""{HEAD}
model:
  layers:
    - Conv2D: {{filters: 8, kernel_size: 3, inputs: nowhere}}
    - Conv2D: {{filters: 8, kernel_size: 3, inputs: wrong}}
    - Conv2D: {{filter: 8, kernel_size: 3, name: wrong}}
"""
    with pytest.raises(ConfigError) as caught:
        loads(text, "test.yaml")
    assert [problem.code for problem in caught.value.problems] == ["E033", "E012"]
    assert "nowhere" in caught.value.problems[0].message


def test_a_parameter_called_inputs_is_the_blocks() -> None:
    """A block that has a parameter of this name takes what is written for it."""
    block = "{b: {parameters: [inputs], layers: [{Add: {inputs: [$inputs, input]}}]}}"
    text = HEAD + f"model: {{blocks: {block}, layers: [{{ReLU: {{name: a}}}}, {{b: {{inputs: a}}}}]}}\n"
    assert wiring(loads(text)) == {"a": ("input",), "add": ("a", "input")}
