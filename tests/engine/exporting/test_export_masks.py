"""A segmentation network in every format: masks and probabilities of an image, and what opens them without cnncli."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from cnncli.datasets.pictures import Picture
from cnncli.serving import web_page
from cnncli.tasks.colours import class_colours

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import mask_parity

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx", "litert")]

NET = """
      - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: fine}
      - Conv2D: {filters: 6, kernel_size: 3, strides: 2, padding: same, activation: relu, name: middle}
      - Conv2DTranspose: {filters: 4, kernel_size: 3, strides: 2, padding: same, name: up}
      - Concatenate: {inputs: [fine, up]}
      - Conv2D: {filters: 10, kernel_size: 2, strides: 2, name: mask}
      - Conv2D: {filters: 10, kernel_size: 1, inputs: middle, name: helper}"""
"""At half the image's size, and with a second output that only helps training: what must not be exported."""

NODE = shutil.which("node")
PAINT = """
const image = { pixels: new Uint8Array(fs.readFileSync(0)), height: 37, width: 21, channels: 3 };
const { probabilities } = network.forward(network.preprocess(image).pixels);
process.stdout.write(network.maskOf(probabilities, image, 37, 21));
"""


@pytest.fixture(scope="module")
def make_masks(make_source: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return a function that gives the network with random weights, for images of another size than it reads."""
    path = tmp_path_factory.mktemp("masks") / "set.npz"
    generator = np.random.default_rng(3)
    masks = generator.integers(0, 10, (40, 11, 15), dtype=np.uint8)
    masks[:, 0] = 255
    np.savez(path, x=generator.integers(0, 256, (40, 11, 15, 3), dtype=np.uint8), y=masks)
    data = {"source": "npz", "path": str(path), "image_size": "[12, 16]", "channels": 3, "test": 0.3}
    about = ["task=segmentation", "model.outputs={mask: mask, helper: helper}"]

    def make(*overrides: str) -> Any:
        made = make_source(NET, *about, *(f"data.{key}={value}" for key, value in data.items()), *overrides)
        return replace(made, description=replace(made.description, task="segmentation"))

    return make


@pytest.fixture(scope="module")
def source(make_masks: Callable[..., Any]) -> Any:
    """Return the network in float32."""
    return make_masks()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Return three images of neither the network's size nor the examples'."""
    return np.random.default_rng(7).integers(0, 256, (3, 20, 13, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def expected(source: Any, images: np.ndarray) -> np.ndarray:
    """Return the probabilities, by the network's own Keras model and Keras's operations."""
    from keras import ops

    pixels = ops.image.resize(images.astype(np.float32), (12, 16), data_format="channels_last")
    logits = source.trained.model(ops.round(pixels) / 255.0)["mask"]
    return np.asarray(ops.softmax(ops.image.resize(logits, (12, 16), data_format="channels_last")))


@pytest.mark.parametrize(
    "title", ["keras", "onnx", "litert", pytest.param("web", marks=pytest.mark.needs("page-runtime"))]
)
def test_masks_and_probabilities(
    title: str, source: Any, write: Callable[..., Any], images: np.ndarray, expected: np.ndarray
) -> None:
    """The artifact passes the gate, opens, and returns of images of any size what Keras computes of the network."""
    from cnncli.engine.exporting.open import open_artifact

    kept = write(title, source)
    assert kept.parity.agreement == kept.parity.pixel_agreement == 1
    found = open_artifact(kept.path).outputs(images)
    assert found.keys() == {"mask", "probabilities"}
    assert found["mask"].dtype == np.uint8
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    assert (found["mask"] == expected.argmax(axis=-1)).all()


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_keras_opens_the_file_alone(
    precision: str, make_masks: Callable[..., Any], images: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    """Without us it returns both outputs by their names, of images of any size; in mixed precision too."""
    import keras

    from cnncli.engine.exporting.keras_file import write_keras

    source, path = make_masks(f"train.precision={precision}"), tmp_path / "net.keras"
    write_keras(source, source.description, path)
    found = keras.saving.load_model(path)(images)
    assert {name: keras.backend.standardize_dtype(one.dtype) for name, one in found.items()} == {
        "mask": "uint8",
        "probabilities": "float32",
    }
    assert (np.asarray(found["mask"]) == np.asarray(found["probabilities"]).argmax(axis=-1)).all()
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5 if precision == "float32" else 0.02)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_script_and_page_show_the_masks_of_predict(
    fit: str, make_masks: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script's PNG file and what the page paints, in the image's own pixels; the file has the classes' colours."""
    from cnncli.engine.evaluation.predict import RunNetwork
    from cnncli.engine.exporting.python_script import write_python
    from cnncli.engine.exporting.web_page import write_web
    from cnncli.serving.predict import predict

    source = make_masks(f"data.resize={{fit: {fit}}}")
    write_python(source, source.description, tmp_path / "net")
    photo = tmp_path / "photo.png"
    pixels = np.random.default_rng(1).integers(0, 256, (37, 21, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photo)
    spec = importlib.util.spec_from_file_location("network", tmp_path / "net" / "network.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr("sys.argv", ["network.py", str(photo)])
    script.main()
    found, expected = script.predict(pixels[None]), source.outputs(pixels[None])
    assert (found["mask"] == expected["mask"]).all()
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
    (file,) = predict(RunNetwork(source.trained), [Picture(str(photo))])
    with Image.open(tmp_path / "photo.png.mask.png") as opened:
        assert (np.asarray(opened) == file.prediction.mask).all()
        assert opened.getpalette()[:30] == class_colours(10).ravel().tolist()
    if NODE is not None:
        page = tmp_path / "net.html"
        write_web(source, replace(source.description, any_size=True), page)
        command = [NODE, "-e", web_page._NETWORK + PAINT, page]
        done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, check=True)
        assert (np.frombuffer(done.stdout, np.uint8).reshape(37, 21) == file.prediction.mask).all()


def test_outputs_of_a_script_keep_their_names(tmp_path: Path) -> None:
    """What a script returns by names comes out of its process by these names, of their types."""
    from cnncli.engine.exporting.open import _Script

    lines = ("def load():", "    return 2", "def predict(images, model):")
    answer = "    return {'mask': images[..., 0], 'probabilities': images / model}"
    (tmp_path / "network.py").write_text("\n".join((*lines, answer)), encoding="utf-8")
    images = np.arange(24, dtype=np.uint8).reshape(1, 4, 3, 2)
    found = _Script(tmp_path).compute(images)
    assert found["mask"].dtype == np.uint8
    assert (found["mask"] == images[..., 0]).all()
    assert (found["probabilities"] == images / 2).all()


def test_parity_of_masks_on_a_split(source: Any, tmp_path: Path) -> None:
    """The benchmark in small: it counts the pixels that two networks give one class, and both mean IoU."""
    from cnncli.engine.exporting.formats import FORMATS
    from cnncli.engine.exporting.open import open_artifact

    kinds = [kind for kind in FORMATS if kind.title in ("keras", "litert int8")]
    split = source.splits.named("test")
    whole, small = mask_parity.compare(source, split, kinds, tmp_path)
    assert (whole.agreeing, whole.lost, whole.holds) == (1, 0, True)
    images, truth = np.stack(split.images), np.stack([split.targets.read(row) for row in range(len(split))])
    run, found = source.outputs(images), open_artifact(tmp_path / "net-int8.tflite").outputs(images)
    assert small.agreeing == (found["mask"] == run["mask"]).mean() < 1
    assert small.num_pixels == len(images) * 12 * 16
    assert small.lost == pytest.approx(whole.mean_iou - small.mean_iou)
    shown = tf_resized(found["probabilities"], truth.shape[1:]).argmax(axis=-1)
    scores = metrics.jaccard_score(truth[truth < 255], shown[truth < 255], average="macro")
    assert small.mean_iou == pytest.approx(scores, abs=1e-9)
    assert replace(small, lost=0.011).line().endswith("lost +1.10 points  TOO LITTLE")


def tf_resized(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return planes in another size, by TensorFlow."""
    import tensorflow as tf

    return np.asarray(tf.image.resize(values, size))
