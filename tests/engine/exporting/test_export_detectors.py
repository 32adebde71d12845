"""Detectors of two scales in every format: boxes of images of any size, and what opens them without cnncli."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets.boxes.targets import Objects
from cnncli.errors import ExportError
from cnncli.serving import bench_process, web_page
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.evaluator import in_original
from cnncli.tasks.predictions import PredictionOptions
from tests.tasks.detection.test_decoding import loop

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

NODE = shutil.which("node")
HEIGHT, WIDTH = SIZE = (40, 56)
NET = """
      - Conv2D: {filters: 6, kernel_size: 5, strides: 4, padding: same, activation: relu, name: fine}
      - Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, activation: gelu, name: coarse}
      - Conv2D: {filters: 10, kernel_size: 1, bias_initializer: zeros, inputs: coarse, name: centres}
      - Conv2D: {filters: 4, kernel_size: 1, inputs: coarse, name: edges}
      - Conv2D: {filters: 10, kernel_size: 1, bias_initializer: zeros, inputs: fine, name: centres_4}
      - Conv2D: {filters: 4, kernel_size: 1, inputs: fine, name: edges_4}"""
"""Heads in another order than their outputs; one has the name of none."""

OUTPUTS = "{heatmap: centres, box: edges, heatmap_4: centres_4, box_4: edges_4}"


@pytest.fixture(scope="module")
def make_detector(make_source: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives the network with random weights and whatever else a config says."""

    @cache
    def make(*overrides: str) -> Any:
        about = ["task=detection", f"model.outputs={OUTPUTS}", "data.source=digit_boxes", "data.channels=3"]
        made = make_source(NET, *about, f"data.image_size=[{HEIGHT}, {WIDTH}]", *overrides)
        # Untrained scores are all alike: these are far apart.
        for name in ("centres", "centres_4"):
            layer = made.trained.model.get_layer(name)
            layer.kernel.assign(8 * layer.kernel)
        return replace(made, description=replace(made.description, task="detection"))

    return make


@pytest.fixture(scope="module")
def padded(make_detector: Callable[..., Any]) -> Any:
    """Return the network for images that are padded to its aspect ratio."""
    return make_detector("data.resize={fit: pad}")


def pictures(height: int, width: int) -> np.ndarray:
    """Return two images of noise with a bright rectangle, uint8."""
    drawn = np.random.default_rng(height).integers(0, 120, (2, height, width, 3)).astype(np.uint8)
    drawn[:, height // 4 : height // 2, width // 3 : width // 2 + 1] += 120
    return drawn


@pytest.fixture(scope="module")
def expected_boxes(make_detector: Callable[..., Any]) -> Callable[..., Any]:
    """Return what gives the boxes of the two pictures of a size: every format is held against the same."""

    @cache
    def expected(fit: str, size: tuple[int, int]) -> list[list[tuple[float, int, list[float]]]]:
        return keras_boxes(make_detector(f"data.resize={{fit: {fit}}}"), pictures(*size), fit)

    return expected


def keras_boxes(source: Any, images: np.ndarray, fit: str) -> list[list[tuple[float, int, list[float]]]]:
    """Return score, class and box of all peaks of each image, by Keras's resize and a loop over cells."""
    from keras import ops

    height, width = images.shape[1:3]
    share = min(HEIGHT / height, WIDTH / width)
    # A length is rounded down, but 56 · (40 / 56) is 40.
    inner = SIZE if fit == "stretch" else tuple(max(1, int(side * share + 1e-9)) for side in (height, width))
    pixels = ops.image.resize(images.astype(np.float32), inner, data_format="channels_last")
    top, left = ((outer - own) // 2 for outer, own in zip(SIZE, inner, strict=True))
    margins = [[0, 0], [top, HEIGHT - inner[0] - top], [left, WIDTH - inner[1] - left], [0, 0]]
    planes = source.trained.model(np.pad(np.round(pixels), margins) / np.float32(255))
    planes = {name: np.asarray(plane) for name, plane in planes.items()}
    scales = [(planes[f"heatmap{end}"], planes[f"box{end}"]) for end in ("", "_4")]
    found = [[one for heatmap, box in scales for one in loop(heatmap[i], box[i], SIZE)] for i in range(len(images))]
    return [sorted(peaks, key=lambda one: -one[0]) for peaks in found]


PAGE = pytest.mark.needs("page-runtime")


@pytest.mark.parametrize(
    ("title", "fit"),
    [
        *(("keras", "pad"), ("saved_model", "pad"), ("python", "pad"), ("python", "stretch")),
        pytest.param("onnx", "pad", marks=pytest.mark.needs("onnx")),
        pytest.param("litert", "stretch", marks=pytest.mark.needs("litert")),
        pytest.param("web", "pad", marks=PAGE),
        pytest.param("web", "stretch", marks=PAGE),
    ],
)
def test_images_of_every_size(
    title: str, fit: str, make_detector: Callable[..., Any], expected_boxes: Callable[..., Any], tmp_path: Path
) -> None:
    """Portrait, landscape, tiny, and of the network's size: the boxes are those of Keras and a loop over cells."""
    from cnncli.engine.exporting.formats import FORMATS as KINDS
    from cnncli.engine.exporting.open import open_artifact

    source = make_detector(f"data.resize={{fit: {fit}}}")
    kind = next(kind for kind in KINDS if kind.title == title)
    assert kind.obstacle(source) is None
    path = tmp_path / f"net{kind.suffix}"
    if title == "python":
        compute = imported(source, path).predict
    else:
        kind.write(source, replace(source.description, any_size=kind.resizes(source.config.data)), path)
        compute = open_artifact(path).outputs
    for size in ((83, 31), (33, 90), (3, 2), SIZE):
        images = pictures(*size)
        found, expected = compute(images), expected_boxes(fit, size)
        types = {name: (values.dtype, values.shape) for name, values in found.items()}
        assert types == {
            "boxes": (np.float32, (2, 100, 4)),
            "classes": (np.int32, (2, 100)),
            "scores": (np.float32, (2, 100)),
        }
        for row, peaks in enumerate(expected):
            scores, labels, boxes = (np.array(column)[:100] for column in zip(*peaks, strict=True))
            number = len(scores)
            np.testing.assert_allclose(found["scores"][row, :number], scores, atol=1e-5)
            assert (found["scores"][row, number:] == 0).all()
            # Of scores that are nearly equal, as in a margin, rounding decides which comes first.
            apart = (np.diff(scores, prepend=2) < -2e-5) & (np.diff(scores, append=-1) < -2e-5)
            apart[-1] = False
            assert apart.sum() > 25
            assert (found["classes"][row, :number][apart] == labels[apart]).all()
            np.testing.assert_allclose(found["boxes"][row, :number][apart], boxes[apart], rtol=1e-5, atol=1e-3)


@pytest.mark.needs("litert")
def test_parity_of_boxes_on_other_sizes(
    make_detector: Callable[..., Any], script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    """The benchmark in small: the images' sizes, and what a format in float32 and one in int8 differ by."""
    from cnncli.engine.exporting.formats import FORMATS as KINDS

    benchmark, source = script("benchmarks/box_parity.py"), make_detector()
    examples = benchmark.Resized.of(source.splits.named("test"), 6, SIZE, 0)
    sizes = [pixels.shape[:2] for pixels in examples.images]
    assert sizes[:2] == [SIZE, benchmark.TINY]
    assert len(set(sizes)) == 6
    kinds = [kind for kind in KINDS if kind.title in ("keras", "litert int8")]
    whole, small = benchmark.compare(source, examples, kinds, tmp_path)
    assert whole.holds
    assert (whole.lost, whole.num_boxes) == (0, 2 * 6 * 99)
    assert small.least_iou < 0.9
    assert replace(whole, score_difference=2e-5).line().endswith("TOO LITTLE")
    assert replace(small, lost=0.021).line().endswith("lost +2.10 points  TOO LITTLE")
    assert not replace(small, lost=0.019).line().endswith("TOO LITTLE")


def test_partners_of_boxes(script: Callable[[str], ModuleType]) -> None:
    """Each box is held against that of its class which overlaps most; low scores and the last are left out."""
    benchmark = script("benchmarks/box_parity.py")
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 5, 5], [0, 0, 4, 4]]], np.float32)
    classes, scores = np.array([[0, 1, 0, 2, 0]]), np.array([[0.9, 0.8, 0.5, 0.4, 0.005]])
    one = {"boxes": boxes, "classes": classes, "scores": scores}
    other = {**one, "boxes": boxes + np.float32([0, 0, 0, 2.5]), "classes": np.array([[0, 1, 0, 1, 0]])}
    ious, apart = benchmark.compared(one, {**other, "scores": scores + np.array([[0.05, 0, -0.1, 0, 0]])})
    np.testing.assert_allclose(ious, [0.8, 0.8, 0.8, 0], atol=1e-6)
    np.testing.assert_allclose(apart[:3], [0.05, 0, 0.1])


def test_objects_are_resized_with_their_image(script: Callable[[str], ModuleType]) -> None:
    """To half the height and three times the width."""
    benchmark = script("benchmarks/box_parity.py")
    crowd = np.array([True])
    own = Objects(np.array([[2.0, 4, 6, 8]]), np.array([1]), ~crowd, crowd, np.array([15.0]), (10, 20))
    found = benchmark._scaled(own, (5, 60))
    assert found.corners.tolist() == [[6, 2, 18, 4]]
    assert found.areas.tolist() == [22.5]
    assert found.size == (5, 60)
    assert found.crowd.tolist() == [True]


@pytest.mark.needs("page-runtime")
def test_page_passes_the_gate(make_detector: Callable[..., Any], write: Callable[..., Any]) -> None:
    """The page answers as the run for examples and edge cases, of other sizes too."""
    kept = write("web", make_detector(), number=8)
    assert kept.parity.agreement == 1
    assert kept.parity.max_abs_diff <= 1e-5
    assert kept.parity.to_json()["ap50_drop"] == 0


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_script_prints_boxes_in_the_original(
    fit: str,
    make_detector: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A line for each box of the run with a score of at least 0.3; it needs neither us nor Pillow."""
    source, photo = make_detector(f"data.resize={{fit: {fit}}}"), tmp_path / "photo.png"
    script = imported(source, tmp_path / "net")
    pixels = pictures(37, 21)[0]
    Image.fromarray(pixels).save(photo)
    monkeypatch.setattr("sys.argv", ["network.py", str(photo)])
    script.main()
    options = PredictionOptions(source.description.classes, SIZE, fit)
    expected = in_original(source.outputs(pixels[None]), 0, (37, 21), options)
    expected = expected.take(expected.scores >= 0.3)
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert {line[0] for line in lines} == {str(photo)}
    assert [line[1] for line in lines] == [source.description.classes[label] for label in expected.labels]
    assert len(lines) > 20
    np.testing.assert_allclose([float(line[2]) for line in lines], expected.scores, atol=1e-4)
    np.testing.assert_allclose([[float(edge) for edge in line[3:]] for line in lines], expected.corners, atol=0.051)


def imported(source: Any, folder: Path) -> ModuleType:
    """Return an exported script as a module."""
    from cnncli.engine.exporting.python_script import write_python

    write_python(source, source.description, folder)
    spec = importlib.util.spec_from_file_location("network", folder / "network.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.skipif(NODE is None, reason="needs Node")
@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_page_shows_boxes_in_the_original(fit: str, make_detector: Callable[..., Any], tmp_path: Path) -> None:
    """Each box of the run, cut off at the image's edges."""
    from cnncli.engine.exporting.web_page import write_web

    source, page = make_detector(f"data.resize={{fit: {fit}}}"), tmp_path / "net.html"
    write_web(source, replace(source.description, any_size=True), page)
    pixels = pictures(37, 21)[0]
    options = PredictionOptions(source.description.classes, SIZE, fit)
    shown = """
    const image = { pixels: new Uint8Array(fs.readFileSync(0)), height: 37, width: 21, channels: 3 };
    const found = network.objectsOf(network.forward(network.preprocess(image).pixels), image);
    console.log(JSON.stringify(found));
    """
    command = [str(NODE), "-e", web_page._NETWORK + shown, str(page)]
    done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, check=True)
    found, expected = json.loads(done.stdout), in_original(source.outputs(pixels[None]), 0, (37, 21), options)
    assert len(found) == len(expected.scores) > 20
    np.testing.assert_allclose([one["score"] for one in found], expected.scores, atol=1e-5)
    assert [one["label"] for one in found] == expected.labels.tolist()
    np.testing.assert_allclose([one["box"] for one in found], expected.corners, atol=1e-3)
    assert {0.0} < {one["box"][0] for one in found}
    assert max(one["box"][3] for one in found) == 37


ASK = """<script>
(async () => {
  const found = [];
  // The browser's clock runs on while it is idle, and images are decoded in another thread: keep it busy.
  const busy = setInterval(() => { for (let i = 0; i < 1e6; i++) Math.sqrt(i); }, 1);
  await open(new File([Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0))], "photo"));
  const seen = () => {
    const cellsOf = (row) => Array.from(row.cells, (cell) => cell.textContent).slice(0, 2);
    const rows = Array.from(byId("answer").rows, cellsOf);
    found.push({ rows, limit: byId("limit").textContent, picture: pad.toDataURL("image/png") });
  };
  seen();
  update();
  network.objectsOf = () => %s;
  update();
  seen();
  byId("threshold").value = 0.75;
  byId("threshold").dispatchEvent(new Event("input"));
  seen();
  byId("threshold").value = 0.99;
  byId("threshold").dispatchEvent(new Event("input"));
  seen();
  clearInterval(busy);
  document.body.textContent = "ANSWER " + btoa(unescape(encodeURIComponent(JSON.stringify(found)))) + " END";
})();
</script>"""
"""Put behind a page: opens a photo, and says what is seen before and after its boxes are known."""


@pytest.mark.needs("chromium")
def test_browser_draws_and_counts(padded: Any, tmp_path: Path) -> None:
    """A photo is seen at once; then boxes in their classes' colours at their places, and how many reach the score."""
    from cnncli.engine.exporting.web_page import write_web

    page, asking = tmp_path / "net.html", tmp_path / "asking.html"
    write_web(padded, replace(padded.description, any_size=True), page)
    photo = io.BytesIO()
    Image.fromarray(np.full((50, 80, 3), 90, np.uint8)).save(photo, "PNG")
    objects = [
        {"label": 3, "score": 0.9, "box": [10, 20, 40, 45]},
        {"label": 3, "score": 0.8, "box": [50, 20, 70, 40]},
        {"label": 5, "score": 0.7, "box": [50, 20, 70, 40]},
        {"label": 1, "score": 0.2, "box": [1, 1, 79, 49]},
    ]
    script = ASK % (base64.b64encode(photo.getvalue()).decode(), json.dumps(objects))
    asking.write_text(page.read_text(encoding="utf-8") + script, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [str(web_page._first(web_page.BROWSERS)), *flags, "--virtual-time-budget=30000", "--dump-dom"]
    done = subprocess.run([*command, asking.as_uri()], capture_output=True, text=True, check=True, timeout=300)
    (text,) = re.findall(r"ANSWER (\S*) END", done.stdout)
    first, second, third, last = json.loads(base64.b64decode(text))
    assert first["rows"] == [["computing …", ""]]
    assert second["rows"] == [["3", "× 2"], ["5", "× 1"], ["all", "× 3"]]
    assert third["rows"] == [["3", "× 2"], ["all", "× 2"]]
    assert last["rows"] == [["nothing has such a score", ""]]
    assert [one["limit"] for one in (first, second, third, last)] == ["0.30", "0.30", "0.75", "0.99"]
    # Enlarged six times, to 480 pixels across: lines are two pixels wide, inside the boxes.
    colours = class_colours(10)
    plain, drawn, fewer = (picture_of(one["picture"]) for one in (first, second, third))
    assert plain.shape == drawn.shape == (300, 480, 3)
    assert (plain == 90).all()
    assert (drawn[150:270, 60:62] == colours[3]).all()
    assert (drawn[268:270, 60:240] == colours[3]).all()
    assert (drawn[200:220, 62:238] == 90).all()
    assert (drawn[150:270, 238:240] == colours[3]).all()
    assert (fewer[180:240, 418:420] == colours[3]).all()
    # The second class's label stands below that of the box that coincides with its own.
    assert (drawn[100:300] == colours[5]).all(axis=-1).sum() > 200
    assert not (fewer == colours[5]).all(axis=-1).any()
    assert not (drawn == colours[1]).all(axis=-1).any()


def picture_of(address: str) -> np.ndarray:
    """Return the pixels of a PNG file that is its own address."""
    with Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))) as opened:
        return np.asarray(opened.convert("RGB"))


@pytest.mark.parametrize("title", ["saved_model", "python"])
def test_speed_of_formats(
    title: str,
    make_detector: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What `cnn export --bench` measures: with TensorFlow, of a script in its own process, of a page in Node."""
    from cnncli.engine.exporting import bench_process as with_tensorflow
    from cnncli.engine.exporting.formats import FORMATS as KINDS

    source = make_detector("data.resize={fit: pad}")
    kind = next(kind for kind in KINDS if kind.title == title)
    path = tmp_path / f"net{kind.suffix}"
    kind.write(source, replace(source.description, any_size=True), path)
    monkeypatch.setattr(bench_process, "MOST_CALLS", 2)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    try:
        bench_process.report(with_tensorflow._open(path), path)
    finally:
        sys.modules.pop("network", None)
    measured = json.loads(capsys.readouterr().out)
    assert measured.keys() == {"latency", "peak_memory_bytes"}
    assert measured["peak_memory_bytes"] > 2**20
    assert measured["latency"].keys() == {"1", "32"}
    for latency in measured["latency"].values():
        assert latency["num_calls"] == 2 or title == "web"
        assert 0 < latency["median"] <= latency["p95"]


def test_answer_that_is_no_boxes() -> None:
    """As many numbers as no whole number of boxes has are refused."""
    with pytest.raises(ExportError, match="answered with 13 numbers an image, expected six a box"):
        web_page._boxes(np.zeros((2, 13), np.float32), None)  # type: ignore[arg-type]


@pytest.mark.needs("litert")
def test_int8_keeps_the_ends(make_detector: Callable[..., Any], tmp_path: Path) -> None:
    """The last layers and the search for peaks stay in float32: among 256 values too many neighbours are equal."""
    from ai_edge_litert.interpreter import Interpreter

    from cnncli.engine.exporting.litert_file import write_int8

    source = make_detector()
    write_int8(source, source.description, tmp_path / "net.tflite")
    interpreter = Interpreter(model_path=str(tmp_path / "net.tflite"))
    kinds = [(each["name"], each["dtype"]) for each in interpreter.get_tensor_details()]

    def found(*starts: str) -> set[Any]:
        return {kind for name, kind in kinds if name.startswith(starts) and np.issubdtype(kind, np.number)}

    assert found("centres_1/", "edges_1/", "centres_4_1/", "edges_4_1/") == {np.float32}
    # LiteRT rounds what a sigmoid makes, for good.
    assert {name for name, kind in kinds if kind == np.int8 and name.startswith(("decoded", "Ident"))} <= {
        "decoded/Sigmoid1"
    }
    assert np.int8 in found("fine")
    (given,) = interpreter.get_input_details()
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], pictures(HEIGHT, WIDTH)[:1])
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[2]["index"])[0]
    exact = source.outputs(pictures(HEIGHT, WIDTH)[:1])["scores"][0]
    np.testing.assert_allclose(np.sort(scores), np.sort(exact), atol=0.05)
