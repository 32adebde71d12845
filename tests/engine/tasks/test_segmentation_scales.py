"""Test-time augmentation by scales, against the same network in plain Keras."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics

from cnncli.config.load import load
from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.datasets.splits import Split
from cnncli.errors import CnnError

pytestmark = pytest.mark.engine

NUMBER, CLASSES = 3, 5

CONFIG = """
name: tiny
task: {task}
data: {{source: {source}, image_size: [16, 24], channels: 3, augmentation: [{{RandomFlip: {{mode: horizontal}}}}]}}
model: {{layers: [{layers}]}}
train: {{epochs: 1}}
"""

LAYERS = (
    "{Conv2D: {filters: 6, kernel_size: 5, padding: same, strides: 2, activation: relu}}, "
    "{Conv2D: {filters: 5, kernel_size: 3, padding: same}}"
)


def config(folder: Path, task: str = "segmentation", source: str = "masks", layers: str = LAYERS):
    """Return a config that reads images of 16 × 24 pixels."""
    (folder / "tiny.yaml").write_text(CONFIG.format(task=task, source=source, layers=layers), encoding="utf-8")
    return load(folder / "tiny.yaml", ["data.path=none"] if source == "masks" else [])


def test_scaled_images_are_averaged(tmp_path: Path) -> None:
    """Images are resized from their own size, logits to the network's; means over scales and mirrors are of all."""
    import tensorflow as tf
    from tensorflow import keras

    from cnncli.engine.evaluation.evaluate import measure
    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.evaluation.tta import views_of
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (NUMBER, 32, 48, 3)).astype(np.uint8)
    masks = generator.integers(0, CLASSES, (NUMBER, 16, 24)).astype(np.uint8)
    facts = MaskFacts.empty(NUMBER, CLASSES)
    for row, mask in enumerate(masks):
        facts.set(row, mask)
    split = Split("test", images, Masks(MaskArray(masks), facts.pixels, facts.hashes), list("abc"))
    settings = config(tmp_path)
    model = build(settings)
    trained = Trained(settings, tuple("abcde"), model, Preprocessing(settings.data), "fresh")
    layers = keras.layers
    image = keras.Input((None, None, 3))
    inside = layers.Conv2D(6, 5, strides=2, padding="same", activation="relu")(image)
    plain = keras.Model(image, layers.Conv2D(CLASSES, 3, padding="same")(inside))
    plain.set_weights([generator.normal(size=weight.shape) for weight in plain.get_weights()])
    model.set_weights(plain.get_weights())

    logits = []
    for size in ((12, 18), (16, 24), (20, 30)):  # Already 24 × 1.25 = 30 and 16 × 0.75 = 12.
        resized = tf.cast(tf.round(tf.image.resize(images, size, antialias=False)), tf.float32) / 255
        for step in (1, -1):
            logits.append(tf.image.resize(plain(resized[:, :, ::step])[:, :, ::step], (16, 24)).numpy())
    for views, places in ((views_of(settings), slice(None)), ((), slice(None, None, 2))):
        found = measure(trained, split, views, (0.75, 1.0, 1.25))
        mean = np.mean(logits[places], axis=0)
        matrix = metrics.confusion_matrix(masks.ravel(), mean.argmax(-1).ravel(), labels=range(CLASSES))
        assert (found.confusion == matrix).all()
        shares = np.exp(mean - mean.max(axis=-1, keepdims=True))
        losses = -np.log(np.take_along_axis(shares, masks[..., None], -1)[..., 0] / shares.sum(axis=-1))
        assert found.loss == pytest.approx(losses.mean(), rel=1e-4)


def test_scales_are_not_for_classification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier has no places to bring back."""
    from cnncli.engine.evaluation import evaluate as module

    settings = config(tmp_path, "classification", "digits", "Flatten, {Dense: {units: 10}}")
    monkeypatch.setattr(module, "load_trained", lambda *_: SimpleNamespace(config=settings))
    monkeypatch.setattr(module, "_examples", lambda *_: (None, None, ()))
    with pytest.raises(CnnError, match="is for segmentation and detection"):
        module.evaluate(SimpleNamespace(), module.EvaluationOptions(scales=(0.5,)))
