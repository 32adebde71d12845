"""What a detector must end in, and what does not go with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cnncli.analysis.check import check
from cnncli.config.dump import resolved
from cnncli.config.load import load, loads
from cnncli.config.schema.schema import Config
from cnncli.config.schema.tasks import TASKS
from cnncli.config.schema.tasks.detection import pairs
from cnncli.errors import ConfigError

SIZE = (64, 96)
GOOD = {"heatmap": (16, 24, 3), "box": (16, 24, 4)}

CONFIG = """
name: tiny
task: detection
data: {{source: digit_boxes, image_size: [64, 96], augmentation: [{changes}]}}
model:
  layers:
    - Conv2D: {{filters: 8, kernel_size: 7, strides: 4, padding: same, activation: relu, name: fourth}}
    - Conv2D: {{filters: 8, kernel_size: 5, padding: same, activation: relu}}
  heads:
    heatmap: [Conv2D: {{filters: 10, kernel_size: 1}}]
    box: [Conv2D: {{filters: 4, kernel_size: 1, inputs: {source}}}]
"""


def config(tmp_path: Path, changes: str = "", source: str = "fourth") -> Config:
    """Return a config with some augmentation; its box head reads the layer of that name."""
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG.format(changes=changes, source=source), encoding="utf-8")
    return load(path)


@pytest.mark.parametrize(
    ("shapes", "code", "output", "words"),
    [
        ((16, 24, 7), "E304", None, "one output"),
        ({"heatmap": (16, 24, 3), "boxes": (16, 24, 4)}, "E304", "heatmap", "none is called box"),
        ({"heatmap": (16, 24, 3), "centres": (16, 24, 4)}, "E304", "heatmap", "none is called box"),
        (GOOD | {"centres": (16, 24, 4)}, "E304", "centres", "neither"),
        (GOOD | {"box_8": (8, 12, 4)}, "E304", "box_8", "none is called heatmap_8"),
        ({"heatmap": (3,), "box": (4,)}, "E301", "heatmap", "ends in 3 values"),
        ({"heatmap": (128, 96, 3), "box": (128, 96, 4)}, "E301", "heatmap", "larger than the image, 64×96"),
        ({"heatmap": (16, 24, 4), "box": (16, 24, 4)}, "E301", "heatmap", "4 channels; the data has 3 classes"),
        ({"heatmap": (16, 24, 3), "box": (16, 24, 3)}, "E301", "box", "3 channels; a box has 4"),
        ({"heatmap": (16, 24, 3), "box": (8, 12, 4)}, "E301", "box", "16×24, box one of 8×12"),
        (GOOD | {"heatmap_8": (8, 12, 2), "box_8": (8, 12, 4)}, "E301", "heatmap_8", "2 channels"),
    ],
)
def test_outputs_that_are_no_detector(shapes: object, code: str, output: str | None, words: str) -> None:
    """Each has an error with the output's name and what to do."""
    problem = TASKS["detection"].check_output(shapes, 3, SIZE)  # type: ignore[arg-type]
    assert problem is not None
    assert (problem.code, problem.output, problem.is_fatal) == (code, output, True)
    assert words in problem.message
    assert problem.hint.endswith((".", "}"))


@pytest.mark.parametrize("shapes", [GOOD, GOOD | {"box_8": (8, 12, 4), "heatmap_8": (8, 12, 3)}])
def test_outputs_of_a_detector(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Pairs of planes for the same places fit, with known classes and without."""
    assert TASKS["detection"].check_output(shapes, 3, SIZE) is None
    assert TASKS["detection"].check_output(shapes, None, SIZE) is None
    assert len(pairs(shapes)) == len(shapes) // 2


def test_answers_that_cannot_be_used() -> None:
    """An artifact returns as many boxes, classes and scores for every image."""
    spec = TASKS["detection"]
    good = {"boxes": (2, 100, 4), "classes": (2, 100), "scores": (2, 100)}
    assert spec.check_answer(good, 2, 3) is None
    for name, shape in {"boxes": (2, 100, 5), "classes": (2, 99), "scores": (2, 100, 1)}.items():
        problem = spec.check_answer(good | {name: shape}, 2, 3)
        assert problem is not None
        assert str(shape) in problem


def test_training_has_other_metrics_than_validation() -> None:
    """What may be monitored is what each has; without a validation split the training loss chooses the best epoch."""
    spec = TASKS["detection"]
    assert spec.monitors(has_validation=False) == ("loss", "box_iou", "center_score")
    assert spec.monitors(has_validation=True)[3:] == ("validation_loss", "validation_ap50", "validation_ap")
    assert spec.best_by("validation_ap", ("loss", "box_iou", "center_score")) == "loss"
    assert spec.best_by("validation_ap", ("loss", "validation_ap")) == "validation_ap"
    assert not spec.higher_is_better("loss")
    assert spec.higher_is_better("box_iou")
    assert spec.higher_is_better("validation_ap")


def test_heads_go_on_from_the_trunk_or_from_what_they_name(tmp_path: Path) -> None:
    """Their last layers are the outputs; a sound detector has no finding."""
    made = config(tmp_path)
    assert made.output_shape == {"heatmap": (16, 24, 10), "box": (16, 24, 4)}
    nodes = {node.path: node for node in made.nodes}
    names = [node.name for node in made.nodes]
    assert names[nodes["model.heads.heatmap[0].Conv2D"].inputs[0]] == "conv2d"
    assert names[nodes["model.heads.box[0].Conv2D"].inputs[0]] == "fourth"
    assert check(made) == ()
    assert made.document["model"]["heads"]["box"] == [{"Conv2D": {"filters": 4, "kernel_size": 1, "inputs": "fourth"}}]


@pytest.mark.parametrize(
    ("heatmap", "start"),
    [
        ("[Conv2D: {filters: 10, kernel_size: 1}]", "value=-4.6"),
        ("[last: {filters: 10}]", "value=-4.6"),
        ("[Parallel: [[ReLU], []], Conv2D: {filters: 10, kernel_size: 1}]", "value=-4.6"),
        ("[Conv2D: {filters: 10, kernel_size: 1, bias_initializer: ones}]", ""),
        ("[Conv2D: {filters: 10, kernel_size: 1, use_bias: false}]", ""),
    ],
)
def test_a_resolved_config_tells_how_a_heatmap_begins(heatmap: str, start: str) -> None:
    """What is printed with all defaults loads as the same network, also where a block is used for other outputs."""
    made = loads(
        CONFIG.format(changes="", source="fourth").replace("[Conv2D: {filters: 10, kernel_size: 1}]", heatmap)
        + "  blocks: {last: {parameters: [filters], layers: [Conv2D: {filters: $filters, kernel_size: 1}]}}\n"
    )
    layer = made.nodes[made.outputs["heatmap"]].layer
    assert str(layer.bias_initializer) == start
    again = loads(resolved(made))
    assert again.nodes == made.nodes
    assert again.outputs == made.outputs


def test_nms_is_for_detectors() -> None:
    """It is kept in the config; another task refuses it."""
    text = CONFIG.format(changes="", source="fourth")
    assert loads(text).nms == "none"
    made = loads(f"{text}  nms: matrix\n")
    assert made.nms == "matrix"
    assert loads(resolved(made)).nms == "matrix"
    with pytest.raises(ConfigError, match="nms is for task: detection"):
        loads("name: x\ndata: {source: digits, image_size: [8, 8]}\nmodel: {layers: [Flatten], nms: matrix}\n")


def test_settings_of_the_loss() -> None:
    """Those that are not the default are kept in the config; the others leave it as it was before there were any."""
    text = CONFIG.format(changes="", source="fourth")
    assert loads(text).document["train"]["loss"] == {"label_smoothing": 0.0, "class_weights": "none"}
    settings = {"box": "l1", "box_weight": 0.1, "focal_alpha": 1.5, "focal_beta": 3.0}
    made = loads(f"{text}train: {{loss: {settings}}}\n")
    assert made.document["train"]["loss"].items() >= settings.items()
    assert loads(resolved(made)).train.loss == made.train.loss
    for key, value, words in (("box", "l2", "giou"), *((key, -0.1, "at least 0") for key in list(settings)[1:])):
        with pytest.raises(ConfigError, match=words):
            loads(f"{text}train: {{loss: {{{key}: {value}}}}}\n")


@pytest.mark.parametrize("changes", ["RandomFlip", "RandomScale: {size: [32, 48]}", "RandomCrop: {padding: 4}"])
def test_augmentation_that_moves_boxes(tmp_path: Path, changes: str) -> None:
    """It is taken as it is."""
    assert len(config(tmp_path, changes).data.augmentation) == 1
