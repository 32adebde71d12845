"""A small detector: how its heatmap begins, and that it learns where painted rectangles are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.config.load import load
from cnncli.errors import CnnError
from cnncli.tasks.detection.loss import Learned, loss

pytestmark = pytest.mark.engine

HEIGHT, WIDTH, NUMBER, CAPACITY = 32, 48, 24, 16

CONFIG = """
name: rectangles
task: detection
seed: 1
data: {source: digit_boxes, image_size: [32, 48], channels: 3, augmentation: [RandomFlip: {mode: horizontal}]}
model:
  layers:
    - Conv2D: {filters: 16, kernel_size: 5, strides: 2, padding: same, activation: relu}
    - Conv2D: {filters: 32, kernel_size: 5, strides: 2, padding: same, activation: relu}
    - Conv2D: {filters: 32, kernel_size: 5, padding: same, activation: relu}
  heads:
    heatmap: [Conv2D: {filters: 2, kernel_size: 1}]
    box: [Conv2D: {filters: 4, kernel_size: 1}]
train: {epochs: 1, batch_size: 8, optimizer: {Adam: {learning_rate: 0.003}}}
"""


def config(tmp_path: Path, *overrides: str) -> Any:
    """Return the config with some values set."""
    path = tmp_path / "rectangles.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return load(path, overrides)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (None, -4.6),
        ("model.heads.heatmap=[Conv2D: {filters: 2, kernel_size: 1, bias_initializer: ones}]", 1.0),
        ("model.heads.heatmap=[Conv2D: {filters: 2, kernel_size: 1, bias_initializer: zeros}]", 0.0),
        ("model.heads.heatmap=[Conv2D: {filters: 2, kernel_size: 1, use_bias: false}]", None),
    ],
)
def test_a_heatmap_begins_with_low_probabilities(tmp_path: Path, override: str | None, expected: float | None) -> None:
    """The log-odds of 0.01, unless the config says how its bias begins; a box's bias begins with 0."""
    from cnncli.engine.network.model import build

    model = build(config(tmp_path, *([] if override is None else [override])))
    outputs = model(np.zeros((1, HEIGHT, WIDTH, 3), np.float32))
    assert {name: tuple(plane.shape) for name, plane in outputs.items()} == {
        "heatmap": (1, 8, 12, 2),
        "box": (1, 8, 12, 4),
    }
    np.testing.assert_allclose(outputs["heatmap"], 0.0 if expected is None else expected, rtol=1e-6)
    np.testing.assert_allclose(outputs["box"], 0.0)


def rectangles() -> tuple[np.ndarray, np.ndarray]:
    """Return dark images with a red and a blue rectangle each, uint8, and their targets."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 40, (NUMBER, HEIGHT, WIDTH, 3)).astype(np.uint8)
    targets = np.zeros((NUMBER, CAPACITY, 6), np.float32)
    targets[..., 4] = -1
    for image, target in zip(images, targets, strict=True):
        for label, (first, last) in enumerate(((0, 24), (24, 48))):
            width, height = generator.integers(10, 20, 2)
            left, top = generator.integers(first, last - width + 1), generator.integers(0, HEIGHT - height + 1)
            image[top : top + height, left : left + width, 2 * label] = 220
            target[label] = left, top, left + width, top + height, label, 1
    return images, targets


def test_rectangles_are_learned(tmp_path: Path) -> None:
    """Eighty steps find them: boxes at their centres, and the best decoded one of each class, are near."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.feed import Chunk
    from cnncli.engine.training.setup import make_step_loop

    images, targets = rectangles()
    loop = make_step_loop(config(tmp_path))
    plan = np.stack([np.random.default_rng(step).permutation(NUMBER)[:8] for step in range(80)]).astype(np.int32)
    chunk = Chunk(tf.constant(images), tf.constant(targets), plan, 8)
    losses = loop.run(chunk, np.full((80, 1), 0.003, np.float32), 0)
    assert len(losses) == 80
    assert losses[-10:].mean() < losses[:10].mean() / 4
    loop.reset_means()
    loop.run(Chunk(chunk.images, chunk.targets, plan[:3], 8), np.zeros((3, 1), np.float32), 80)
    means = loop.means().by_name()
    assert means.keys() == {"loss", "box_iou", "center_score"}
    assert means["box_iou"] > 0.7
    assert means["center_score"] > 0.4
    found = loop.objective.outputs(loop.model(images / np.float32(255)))
    off = [
        np.abs(found["boxes"][row, np.argmax(found["classes"][row] == label)] - targets[row, label, :4]).max()
        for row in range(NUMBER)
        for label in range(2)
    ]
    assert np.median(off) < 3
    assert np.mean(np.less(off, 8)) > 0.8


def test_the_loss_is_that_of_the_config(tmp_path: Path) -> None:
    """Training minimizes what the evaluator of the same config computes in NumPy."""
    from cnncli.engine.tasks.objective import make_objective

    settings = "train.loss={box: l1, box_weight: 0.5, focal_alpha: 1.0, focal_beta: 2.0}"
    made = config(tmp_path, settings)
    generator = np.random.default_rng(0)
    logits = {
        name: generator.normal(-1, 1, (1, 8, 12, n)).astype(np.float32) for name, n in (("heatmap", 2), ("box", 4))
    }
    _, (targets, *_) = rectangles()
    objects = Learned(targets[:2, :4].astype(np.float64), np.arange(2), np.zeros(2, np.bool_))
    expected = loss(logits, 0, objects, (HEIGHT, WIDTH), made.train.loss)
    assert expected != pytest.approx(loss(logits, 0, objects, (HEIGHT, WIDTH)), rel=0.1)
    objective = make_objective(made)
    padded = np.full((1, *objective.target_spec.shape[1:]), -1, np.float32)
    padded[0, :2] = targets[:2]
    np.testing.assert_allclose(objective.loss(padded, logits), [expected], rtol=1e-5)


def test_samples_of_a_mosaic_have_its_boxes(tmp_path: Path) -> None:
    """The image itself comes first, with as many rows; those beyond its own objects are empty."""
    from cnncli.datasets.load import load as load_splits
    from cnncli.engine.input_pipeline.augmentation import samples
    from cnncli.engine.tasks.objective import make_objective

    heatmap = "model.heads.heatmap=[Conv2D: {filters: 10, kernel_size: 1}]"
    made = config(tmp_path, "data.augmentation=[Mosaic: {scale: [0.5, 0.6]}]", heatmap)
    train = load_splits(made).train
    found = samples(made, train, make_objective(made), num_images=4, num_variants=2)
    own = train.targets.fit(made.data)[np.linspace(0, len(train) - 1, 4).astype(int)]
    assert found.targets is not None
    assert found.targets.shape == (4, 3, 4 * own.shape[1], 6)
    np.testing.assert_array_equal(found.targets[:, 0, : own.shape[1]], own)
    numbers = (found.targets[..., 4] >= 0).sum(axis=-1)
    np.testing.assert_array_equal(numbers[:, 0], (own[..., 4] >= 0).sum(axis=-1))
    assert numbers[:, 1:].sum() > 2 * numbers[:, 0].sum()


def test_samples_that_are_parts_keep_their_boxes_in_place(tmp_path: Path) -> None:
    """A part that is smaller than its image begins at its upper left corner, and so do its boxes."""
    from cnncli.datasets.load import load as load_splits
    from cnncli.engine.input_pipeline.augmentation.augmentation import samples
    from cnncli.engine.tasks.objective import make_objective

    heatmap = "model.heads.heatmap=[Conv2D: {filters: 10, kernel_size: 1}]"
    made = config(tmp_path, "data.augmentation=[RandomScale: {size: [16, 24]}]", heatmap)
    found = samples(made, load_splits(made).train, make_objective(made), num_images=2, num_variants=3)
    assert found.images.shape == (2, 4, HEIGHT, WIDTH, 3)
    assert (found.images[:, 1:, 16:] == 255).all()
    assert (found.images[:, 1:, :, 24:] == 255).all()
    assert found.targets is not None
    some = found.targets[:, 1:][found.targets[:, 1:, :, 4] >= 0]
    assert len(some)
    assert (some[:, :4] <= [24, 16, 24, 16]).all()


def test_a_network_that_is_no_detector_is_refused(tmp_path: Path) -> None:
    """Before anything is trained, with what `cnn check` says of it."""
    from cnncli.engine.tasks.objective import make_objective

    with pytest.raises(CnnError, match="a box has 4") as caught:
        make_objective(config(tmp_path, "model.heads.box=[Conv2D: {filters: 3, kernel_size: 1}]"))
    assert caught.value.code == "E301"
