"""The page with the network inside: its arithmetic, its size, and that it asks nobody for anything."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnncli
from cnncli.datasets.facts import Facts
from cnncli.datasets.image_statistics import ImageStatistics, image_statistics
from cnncli.datasets.images import decode, examine
from cnncli.datasets.pictures import Picture
from cnncli.errors import ExportError
from cnncli.serving import web_page
from cnncli.tasks.classification.ood import EnergyDetector
from cnncli.tasks.predictions import PredictedFile
from tests.datasets.icc import ADOBE_RGB, CURVE, DISPLAY_P3, GAMMA, SRGB, icc_profile

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.needs("page-runtime"),
]
BROWSER = web_page._first(web_page.BROWSERS)
needs_browser = pytest.mark.needs("chromium")
NETWORK = Path(cnncli.__file__).parent / "engine" / "exporting" / "templates" / "web_network.js"
Make = Callable[..., Any]

NETS = {
    "two axes": """
      - Rescaling: {scale: 2.0, offset: -1.0}
      - Normalization: {mean: [0.1], variance: [0.5]}
      - ZeroPadding2D: {padding: [[1, 2], [0, 3]]}
      - Cropping2D: {cropping: [[1, 0], [0, 1]]}
      - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 3, padding: same, strides: 1}
      - LeakyReLU
      - SeparableConv2D: {filters: 6, kernel_size: 3, padding: same, activation: mish}
      - ReLU: {max_value: 1.0, negative_slope: 0.1, threshold: 0.05}
      - BatchNormalization
      - GroupNormalization: {groups: 2}
      - LayerNormalization
      - SpatialDropout2D: {rate: 0.2}
      - UpSampling2D: {size: [2, 3]}
      - AveragePooling2D: {pool_size: 3, strides: 2, padding: same}
      - MaxPooling2D: {pool_size: [2, 3], strides: [1, 2]}
      - Conv2D: {filters: 12, kernel_size: 3, strides: 2, padding: same, groups: 2, activation: gelu}
      - LayerScale: {init_values: 0.5}
      - ChannelPadding: {padding: [2, 1]}
      - ChannelPadding: {padding: [-3, 2]}
      - Permute: {dims: [3, 1, 2]}
      - Permute: {dims: [2, 3, 1]}
      - LocalResponseNormalization: {depth_radius: 2, alpha: 0.5, beta: 0.75}
      - Parallel:
        - [{Conv2D: {filters: 4, kernel_size: 2, padding: same, dilation_rate: 2}}]
        - [{Conv2D: {filters: 3, kernel_size: 1}}]
        - []
      - Residual: {layers: [{Conv2D: {filters: 21, kernel_size: 1}}]}
      - Parallel: [[GlobalAveragePooling2D], [GlobalMaxPooling2D], [Flatten]]
      - Dropout: {rate: 0.5}
      - Softmax
      - Dense: {units: 10}""",
    "a graph": """
      - Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: relu6, name: a}
      - Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: hard_swish, inputs: input, name: b}
      - GlobalAveragePooling2D: {keepdims: true}
      - Conv2D: {filters: 6, kernel_size: 1, activation: hard_sigmoid, name: gate}
      - Multiply: {inputs: [a, gate], name: gated}
      - Conv2D: {filters: 1, kernel_size: 1, activation: sigmoid, name: place}
      - Multiply: {inputs: [place, b, gate]}
      - AveragePooling2D
      - UpSampling2D: {size: [2, 2], interpolation: bilinear, name: smooth}
      - Maximum: {inputs: [smooth, a, gate], name: most}
      - Minimum: {inputs: [a, b], name: least}
      - Subtract: {inputs: [most, gate], name: rest}
      - Average: {inputs: [rest, least, b], name: mean}
      - Add: {inputs: [rest, gate, least], name: sum}
      - Concatenate: {inputs: [sum, mean, input], name: all}
      - Conv2DTranspose: {filters: 5, kernel_size: [3, 2], strides: [3, 2], padding: same, activation: tanh, name: up}
      - Conv2DTranspose: {filters: 4, kernel_size: [4, 3], strides: 2, padding: same, inputs: all, name: even}
      - Conv2DTranspose: {filters: 3, kernel_size: 2, strides: 3, output_padding: [2, 1], inputs: all, name: apart}
      - Conv2DTranspose: {filters: 3, kernel_size: 3, dilation_rate: 2, use_bias: false, inputs: all, name: wide}
      - Resizing: {height: 7, width: 5, inputs: up, name: small}
      - Resizing: {height: 7, width: 5, inputs: even, interpolation: nearest, name: other}
      - Resizing: {height: 7, width: 5, inputs: apart, name: third}
      - Resizing: {height: 7, width: 5, inputs: wide, name: fourth}
      - Concatenate: {inputs: [small, other, third, fourth]}
      - Flatten
      - Dense: {units: 10}""",
    "one axis": """
      - Reshape: {target_shape: [16, 4]}
      - Conv1D: {filters: 6, kernel_size: 3, padding: causal, dilation_rate: 2, groups: 2, activation: elu}
      - MaxPooling1D: {pool_size: 3, strides: 1, padding: same}
      - Conv1D: {filters: 8, kernel_size: 3, padding: same, strides: 2, activation: softmax}
      - AveragePooling1D
      - Parallel: [[GlobalAveragePooling1D], [GlobalMaxPooling1D], [Flatten]]
      - Activation: {activation: tanh}
      - Dense: {units: 10}""",
}


@pytest.mark.parametrize("net", NETS)
def test_every_layer_of_the_page(net: str, make_source: Make, write: Make) -> None:
    """The page computes every layer that it is said to compute, at every size of image."""
    kept = write("web", make_source(NETS[net]))
    assert kept.parity.max_abs_diff <= 1e-5


def test_nets_hold_all_that_the_page_computes() -> None:
    """No layer of the list is left out above."""
    from cnncli.engine.exporting.web_steps import STEPS

    assert [name for name in STEPS if not any(name in net for net in NETS.values())] == []


def test_every_activation(make_source: Make, write: Make) -> None:
    """The page computes every activation that it is said to compute."""
    from cnncli.engine.exporting.web_steps import ACTIVATIONS

    branches = ", ".join(f"[{{Activation: {{activation: {name}}}}}]" for name in ACTIVATIONS)
    layers = (
        f"[{{Conv2D: {{filters: 4, kernel_size: 3}}}}, {{Parallel: [{branches}]}}, Flatten, {{Dense: {{units: 10}}}}]"
    )
    assert write("web", make_source(layers)).parity.max_abs_diff <= 1e-5


@pytest.mark.parametrize("resize", ["bilinear, fit: crop", "nearest, fit: pad", "nearest, fit: stretch"])
def test_every_resize_of_the_page(resize: str, make_source: Make, write: Make) -> None:
    """Images of other sizes, and coloured ones, come out as in training."""
    overrides = (f"data.resize={{method: {resize}}}", "data.image_size=[11, 14]", "data.channels=3")
    write("web", make_source("[Flatten, {Dense: {units: 10}}]", *overrides))


def test_what_the_page_cannot_hold(make_source: Make) -> None:
    """Layers, activations and resizes that the page lacks are said before it is written."""
    from cnncli.engine.exporting.formats import FORMATS

    layers = """
      - UpSampling2D: {interpolation: bicubic}
      - Reshape: {target_shape: [16, 16, 1, 1]}
      - Conv3D: {filters: 2, kernel_size: 1}
      - Reshape: {target_shape: [16, 16, 2]}
      - Conv2D: {filters: 2, kernel_size: 3, activation: sparsemax}
      - Flatten
      - Dense: {units: 10}"""
    source = make_source(layers, "data.resize={method: area}")
    message, _ = next(kind for kind in FORMATS if kind.kind == "web").obstacle(source)
    for part in (
        "up_sampling2d (UpSampling2D by bicubic interpolation)",
        "conv3d (Conv3D)",
        "conv2d (activation sparsemax)",
        "data.resize.method area",
    ):
        assert part in message


@pytest.fixture(scope="module")
def page(make_source: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return LeNet-5's page, and the network."""
    from dataclasses import replace

    from cnncli.engine.exporting.web_page import write_web

    layers = """
      - Conv2D: {filters: 6, kernel_size: 5, padding: same, activation: relu}
      - MaxPooling2D
      - Conv2D: {filters: 16, kernel_size: 5, activation: relu}
      - MaxPooling2D
      - Flatten
      - Dense: {units: 120, activation: relu}
      - Dense: {units: 84, activation: relu}
      - Dense: {units: 10}"""
    source = make_source(layers, "data.image_size=[28, 28]")
    path = tmp_path_factory.mktemp("page") / "lenet.html"
    about = replace(source.description, any_size=True, look={"mean": [0.13], "num_images": 1})
    write_web(source, about, path)
    return path, source


def test_small_and_alone(page: tuple[Path, Any]) -> None:
    """LeNet-5's page has less than 2 MB, names no address, and forbids every request."""
    text = page[0].read_text(encoding="utf-8")
    assert len(text) < 2_000_000
    assert re.findall(r"https?://|//cdn|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket", text) == []
    assert "default-src 'none'" in text


@needs_browser
def test_browser_answers_as_the_run(page: tuple[Path, Any]) -> None:
    """In headless Chromium, 100 images get the run's probabilities to 1e-4, at two sizes."""
    path, source = page
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28, 1), dtype=np.uint8)
    images[:50] = np.repeat(np.repeat(source.splits.test.images[:50], 4, 1), 4, 2)[:, 2:30, 2:30]
    compute = web_page.in_browser(path)

    def largest(images: np.ndarray) -> float:
        return np.abs(compute(images)["probabilities"] - source.outputs(images)["probabilities"]).max()

    assert largest(images) <= 1e-5
    assert largest(images[:10, :25, :19]) <= 1e-5


PHOTOS = int(os.environ.get("CNNCLI_PROFILE_PHOTOS", "6"))
"""How many photos with colour profiles are compared."""

SPACES = {"Display P3": (DISPLAY_P3, CURVE), "Adobe RGB": (ADOBE_RGB, GAMMA), "sRGB": (SRGB, CURVE)}

OPENED = """<script>
(async () => {
  const found = [];
  // The browser's clock runs on while it is idle, and images are decoded in another thread: keep it busy.
  const busy = setInterval(() => { for (let i = 0; i < 1e6; i++) Math.sqrt(i); }, 1);
  for (const text of %s) {
    await open(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], "photo"));
    const pixels = Array.from(dropped.pixels);
    const read = network.preprocess(dropped).pixels;
    const { probabilities, energy } = network.forward(read);
    found.push({ probabilities: Array.from(probabilities), doubts: network.doubts(read, energy), energy, pixels });
  }
  clearInterval(busy);
  document.body.textContent = "ANSWER " + btoa(JSON.stringify(found)) + " END";
})();
</script>"""
"""Put behind a page, opens image files as a user does."""


def opened(path: Path, files: Sequence[bytes], folder: Path) -> list[dict[str, Any]]:
    """Open image files in a page, in headless Chromium; return what it computes for each."""
    asking = folder / "asking.html"
    texts = json.dumps([base64.b64encode(content).decode() for content in files])
    asking.write_text(path.read_text(encoding="utf-8") + OPENED % texts, encoding="utf-8")
    done, _ = browse(asking, folder, seconds=60)
    (found,) = re.findall(r"ANSWER (\S*) END", done.stdout)
    return json.loads(base64.b64decode(found))


def photo(number: int, size: int = 48) -> Image.Image:
    """Return colours that change slowly, with some noise: a photograph's statistics."""
    generator = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), np.uint8)).resize((size, size))
    noisy = np.asarray(coarse).astype(np.int16) + generator.integers(-6, 7, (size, size, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def statistics(content: bytes) -> ImageStatistics:
    """Return the statistics of one image."""
    facts = Facts.empty(1, 3)
    facts.set_statistics(0, examine(content, 3, "photo"))
    return image_statistics(facts)


@needs_browser
def test_colour_profiles_agree(make_source: Make, tmp_path: Path) -> None:
    """Photos in Display P3, Adobe RGB and sRGB: `cnn predict`, ONNX, LiteRT and the page agree to 1e-4."""
    from dataclasses import replace

    from cnncli.engine.evaluation.predict import RunNetwork
    from cnncli.engine.exporting.formats import FORMATS
    from cnncli.serving.open import open_artifact
    from cnncli.serving.predict import ArtifactNetwork, predict

    layers = """
      - Conv2D: {filters: 8, kernel_size: 3, strides: 2, activation: relu}
      - Conv2D: {filters: 8, kernel_size: 3, activation: relu}
      - GlobalAveragePooling2D
      - Dense: {units: 10}"""
    source = make_source(layers, "data.channels=3", "data.image_size=[24, 24]")
    files = []
    for number in range(PHOTOS):
        content, space = io.BytesIO(), list(SPACES)[number % 3]
        photo(number).save(content, "PNG" if number % 2 else "JPEG", icc_profile=icc_profile(*SPACES[space]))
        files.append(content.getvalue())
    pictures = [Picture(str(number), content) for number, content in enumerate(files)]
    detector = EnergyDetector("validation", 99, 0.01, energy=0.0, confidence=0.5)
    network = RunNetwork(replace(source.trained, detector=detector))
    energies = [file.ood.value for file in predict(network, pictures)]
    # A threshold that about half of the photos are above, and none is near.
    places = np.sort(energies)
    detector = replace(detector, energy=float(places[PHOTOS // 2 - 1 : PHOTOS // 2 + 1].mean()))
    network = RunNetwork(replace(source.trained, detector=detector))
    reference = list(predict(network, pictures, top=10))

    def probabilities(found: Sequence[PredictedFile]) -> np.ndarray:
        ranked = [{place.name: place.probability for place in file.prediction.places} for file in found]
        return np.array([[one[name] for name in source.description.classes] for one in ranked])

    kinds = [kind for kind in FORMATS if kind.title in ("onnx", "litert", "web")]
    assert len(kinds) == 3
    for kind in kinds:
        path = tmp_path / f"net{kind.suffix}"
        any_size = kind.resizes(source.config.data)
        kind.write(source, replace(source.description, any_size=any_size, ood_detector=detector.to_json()), path)
        found = list(predict(ArtifactNetwork(open_artifact(path)), pictures, top=10))
        assert np.abs(probabilities(found) - probabilities(reference)).max() <= 1e-4
    seen = opened(tmp_path / "net.html", files, tmp_path)
    for content, one in zip(files, seen, strict=True):
        difference = np.array(one["pixels"]) - decode(content, 3, "photo").reshape(-1)
        assert np.abs(difference).max() <= 1
    largest = np.abs([one["probabilities"] for one in seen] - probabilities(reference)).max()
    print(f"{PHOTOS} photos: the page differs by at most {largest:.1e}")
    assert largest <= 1e-4
    assert [tuple(one["doubts"]) for one in seen] == [file.doubts for file in reference]
    assert {len(file.doubts) for file in reference} == {0, 1}
    np.testing.assert_allclose([one["energy"] for one in seen], energies, atol=1e-4)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_page_warns_in_the_words_of_predict() -> None:
    """Of energies above the limit, one of them just above it, and of one that is the limit itself."""
    detector = EnergyDetector("validation", 250, 2 / 251, energy=-2.4706, confidence=0.5)
    energies = [3.25, -2.47, -2.4698, -2.4705999, -2.4706, -64.03]
    program = {"layers": [], "channels": 1, "ood_detector": detector.to_json()}
    code = NETWORK.read_text(encoding="utf-8")
    code += f"const network = makeNetwork({json.dumps(program)}, new ArrayBuffer(0));"
    code += f"console.log(JSON.stringify({energies}.map((energy) => network.doubts([0, 1], energy))));"
    done = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, check=True)
    scores = detector.scores({"logits": -np.array(energies)[:, None]})
    assert [score.value for score in scores] == energies
    assert json.loads(done.stdout) == [[score.warning] if score.unlike else [] for score in scores]
    assert [score.unlike for score in scores] == [True, True, True, True, False, False]


def browse(page: Path, folder: Path, seconds: int = 3) -> tuple[Any, set[str]]:
    """Open a page in headless Chromium; return the finished process and the addresses it asked."""
    log = folder / f"{page.stem}-net.json"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags += [
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        f"--virtual-time-budget={1000 * seconds}",
    ]
    flags += [f"--user-data-dir={folder / page.stem}", f"--log-net-log={log}", "--dump-dom", page.as_uri()]
    done = subprocess.run([str(BROWSER), *flags], capture_output=True, text=True, check=True, timeout=300)
    return done, set(re.findall(r'"url":"((?:https?|wss?|ftp)://[^/"]*)', log.read_text(errors="replace")))


@needs_browser
def test_browser_asks_nobody(page: tuple[Path, Any], tmp_path: Path) -> None:
    """The page opens from a file, runs without an error, answers when asked to, and no request leaves it."""
    empty, copy = tmp_path / "empty.html", tmp_path / "page.html"
    empty.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    count = "document.title += ' tiles ' + document.querySelectorAll('#answer tr, #doubts li').length"
    stroke = "const stroke = (x) => pad.dispatchEvent(new PointerEvent('pointermove', {buttons: 1, clientX: box.x + x,"
    stroke += " clientY: box.y + 99, movementX: 30}))"
    # Without a window, frames come when they like: what they call is called here.
    steps = f"const box = pad.getBoundingClientRect(); {stroke}; update(); {count}; stroke(-999); update(); {count};"
    steps += f" stroke(99); update(); {count}"
    probe = f"<script>document.title = ''; setTimeout(() => {{ {steps} }}, 500)</script>"
    copy.write_text(page[0].read_text(encoding="utf-8") + probe, encoding="utf-8")
    done, asked = browse(copy, tmp_path)
    # A canvas that nobody touched shows nothing; with a stroke beside it, ten classes and the warning that it is
    # blank; with one on it, no warning.
    assert re.findall("<title>(.*?)</title>", done.stdout) == ["tiles 0 tiles 11 tiles 10"]
    assert "Uncaught" not in done.stderr
    assert "Content Security Policy" not in done.stderr
    # What the browser asks by itself, it asks for an empty page too.
    _, own = browse(empty, tmp_path)
    assert asked <= own


@needs_browser
def test_the_watch_can_fail(page: tuple[Path, Any], tmp_path: Path) -> None:
    """A request that a page does make is seen by the test above."""
    asking = tmp_path / "asking.html"
    asking.write_text('<!doctype html><img src="http://127.0.0.1:9/x.png">', encoding="utf-8")
    assert "http://127.0.0.1:9" in browse(asking, tmp_path)[1]


def test_class_names_cannot_break_out(page: tuple[Path, Any], tmp_path: Path) -> None:
    """A class called like a closing tag stays a name."""
    from dataclasses import replace

    from cnncli.engine.exporting.web_page import write_web
    from cnncli.serving.open import open_artifact

    _, source = page
    classes = ("</script><script>evil()</script>", "<!--", '"', "'", "$x", "ß", "\\", "&amp;", "a", "b")
    about = replace(source.description, any_size=True, classes=classes, name="<b>net</b>")
    write_web(source, about, tmp_path / "p.html")
    artifact = open_artifact(tmp_path / "p.html")
    assert artifact.classes == classes
    assert "<b>net</b>" not in (tmp_path / "p.html").read_text(encoding="utf-8").replace("\\u003c", "")
    assert artifact.outputs(np.zeros((1, 28, 28, 1), np.uint8))["probabilities"].shape == (1, 10)


def test_no_runtime_is_one_line(page: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Node and a browser, the error says what to install."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ExportError, match="neither node nor a Chromium browser") as raised:
        web_page.open_web(page[0])
    assert raised.value.hint == "Install Node.js."


def test_description_is_inside(page: tuple[Path, Any]) -> None:
    """The page's data name the classes and the preprocessing."""
    text = page[0].read_text(encoding="utf-8")
    (found,) = re.findall(r'id="network">(.*?)</script>', text)
    document = json.loads(found)
    assert document["classes"] == [str(i) for i in range(10)]
    assert (document["height"], document["method"], document["pad"], document["dark"]) == (28, "bilinear", True, True)
