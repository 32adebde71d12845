"""Every value of a page's maps, explained by the numbers that make it; and what a change of weights or image does.

The large version, in a browser and with its times, is `tests/campaigns/explore_numbers.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import ndimage

from tests.engine.exporting import web_numbers
from tests.engine.exporting.conftest import CONFIG, shake
from tests.engine.exporting.test_export_web import NETS
from tests.engine.exporting.web_numbers import Net, linear, numbers, page_maps, positive

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node"),
]

CONVOLUTIONS = """
      - Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: relu, name: c1}
      - MaxPooling2D
      - Conv2D: {filters: 4, kernel_size: 3, activation: tanh, name: c2}
      - Flatten
      - Dense: {units: 10, name: answer}"""


@pytest.fixture(scope="module")
def call() -> Iterator[web_numbers.Call]:
    """Return what runs the page's scripts in Node."""
    with web_numbers.Node() as node:
        yield node


@pytest.fixture(scope="module")
def nets() -> Callable[..., Net]:
    """Return a function that builds a network of layers in YAML; each once."""
    from cnncli.config.load import loads

    made: dict[tuple[str, bool], Net] = {}

    def make(layers: str, plain: bool = False) -> Net:
        key = (layers, plain)
        if key not in made:
            text = CONFIG.replace("layers: []", f"layers: {layers}")
            if plain:
                text = yaml.safe_dump(linear(yaml.safe_load(text)))
            made[key] = Net.of(loads(text), positive if plain else shake)
        return made[key]

    return make


@pytest.fixture
def small(nets: Callable[..., Net], call: web_numbers.Call) -> Net:
    """Return a network with two convolutions, its program loaded."""
    net = nets(CONVOLUTIONS)
    net.load(call)
    return net


@pytest.mark.parametrize("name", NETS)
def test_units_are_what_they_are_made_of(name: str, nets: Callable[..., Net], call: web_numbers.Call) -> None:
    """Of each layer that the page computes, values follow from the numbers shown; frames are those of `cnn summary`."""
    net = nets(NETS[name])
    net.load(call)
    at = net.units(6 * len(net.names))
    assert web_numbers.recomputed(net, call, net.image(), at) <= 1e-6
    assert web_numbers.fields_differ(net, call, at) == []


def test_a_small_campaign(
    script: Callable[[str], ModuleType],
    call: web_numbers.Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LeNet-5: units, maps, fields, gradients, changed kernels, silent channels, shifts and times are as promised."""
    campaign = script("campaigns/explore_numbers.py")
    # A loaded machine may take many times as long; a second is no accident.
    monkeypatch.setattr(campaign, "IMAGE", 1000.0)
    ((name, text),) = campaign.documents(["lenet5"])
    assert campaign.measured(name, text, call, 32, threads=False)
    said = capsys.readouterr().out
    assert "fields other than of cnn summary 0, of gradients 0" in said
    assert "shifted map: equal" in said


def test_the_campaign_can_fail(script: Callable[[str], ModuleType], call: web_numbers.Call) -> None:
    """A field that is one column too wide is told."""
    campaign = script("campaigns/explore_numbers.py")
    ((name, text),) = campaign.documents(["conv1d"])
    call(
        "() => { globalThis.unspoilt = makeUnits; makeUnits = (network) => ({ ...unspoilt(network), field: (layer) => "
        "[{ layer: -1, top: 0, left: 0, height: 9, width: 9, full: { top: 0, left: 0, height: 9, width: 9 } }] }); }"
    )
    try:
        assert not campaign.measured(name, text, call, 7, threads=False)
    finally:
        call("() => { makeUnits = unspoilt; }")


def test_separable_convolutions_in_two_steps(nets: Callable[..., Net], call: web_numbers.Call) -> None:
    """The sums of the channels' own filters, weighed, add up to the sum of all products."""
    net = nets("[{SeparableConv2D: {filters: 3, kernel_size: 3, padding: same, depth_multiplier: 2}}, Flatten]")
    net.load(call)
    image = net.image().reshape(-1).tolist()
    found = call("(pixels) => units.explain(network.trace(Float32Array.from(pixels)), 0, [0, 7, 2])", image)
    first = np.asarray(net.model.layers[1].depthwise_kernel)
    point = np.asarray(net.model.layers[1].pointwise_kernel)[0, 0, :, 2]
    patch = np.zeros((3, 3, 1))
    patch[1:, :2] = net.image()[:2, 6:] / 255
    sums = (patch[..., None] * first).sum((0, 1)).reshape(-1)
    np.testing.assert_allclose([stage["sum"] for stage in found["stages"]], sums, rtol=1e-5)
    np.testing.assert_allclose([stage["weight"] for stage in found["stages"]], point)
    assert found["sum"] == pytest.approx(sums @ point, rel=1e-5)


def test_activations_of_units(nets: Callable[..., Net], call: web_numbers.Call) -> None:
    """A value is its activation of the sum shown, for every activation that the page computes."""
    from cnncli.engine.exporting.web_steps import ACTIVATIONS

    branches = ", ".join(f"[{{Conv2D: {{filters: 2, kernel_size: 3, activation: {name}}}}}]" for name in ACTIVATIONS)
    net = nets(f"[{{Parallel: [{branches}]}}, Flatten, {{Dense: {{units: 10}}}}]")
    net.load(call)
    assert web_numbers.recomputed(net, call, net.image(), net.units(4 * len(net.names))) <= 1e-5


def test_fields_are_those_of_gradients(nets: Callable[..., Net], call: web_numbers.Call) -> None:
    """A unit's frame in the image is the hull of the pixels that its gradient is not 0 for."""
    net = nets(NETS["a graph"], plain=True)
    net.load(call)
    assert web_numbers.gradients_differ(net, call, net.units(4 * len(net.names))) == []


def test_frames_between_follow_each_other(small: Net, call: web_numbers.Call) -> None:
    """The frames in the layers between: what the pooling reads for the second convolution, with the padding."""
    boxes = web_numbers.framed(call, [[2, 0, 1]])[0]
    assert {layer: web_numbers.extent(box) for layer, box in boxes.items()} == {
        2: (0, 0, 1, 1),
        1: (0, 2, 1, 3),
        0: (0, 5, 2, 7),
        -1: (0, 6, 1, 7),
    }
    assert web_numbers.extent(boxes[-1]["full"]) == (-1, 6, 1, 8)
    assert [boxes[layer]["padded"] for layer in (2, 1, 0, -1)] == [False, False, False, True]


def test_padding_is_shown_as_padding(small: Net, call: web_numbers.Call) -> None:
    """A corner's patch has five taps of padding: no place, 0, and their weights."""
    image = small.image().reshape(-1).tolist()
    code = "(pixels) => units.explain(network.trace(pixels), 0, [0, 0, 3])"
    found = call(code, image)
    assert [term["at"] is None for term in found["terms"]] == [True] * 4 + [False] * 2 + [True] + [False] * 2
    kernel = np.asarray(small.model.get_layer("c1").kernel)[..., 3].reshape(-1)
    np.testing.assert_array_equal([np.float32(term["weight"]) for term in found["terms"]], kernel)
    assert [term["product"] for term in found["terms"] if term["at"] is None] == [0] * 5
    assert (found["window"]["top"], found["window"]["left"], found["window"]["height"]) == (-1, -1, 3)


def test_the_largest_wins(small: Net, call: web_numbers.Call) -> None:
    """A largest value comes from where NumPy finds it in the window."""
    first, pooled = small.activations(small.image())[:2]
    image = small.image().reshape(-1).tolist()
    place = np.unravel_index(pooled.argmax(), pooled.shape)
    code = "([pixels, at]) => units.explain(network.trace(pixels), 1, at).window.winner"
    winner = call(code, [image, [int(i) for i in place]])
    row, column, channel = place
    window = first[2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel]
    down, across = np.unravel_index(window.argmax(), window.shape)
    assert winner == [2 * row + down, 2 * column + across]


@pytest.mark.parametrize("preset", ["identity", "blur", "sharpen", "sobel_x", "sobel_y", "laplacian"])
def test_an_edited_kernel_is_keras_own(preset: str, small: Net, call: web_numbers.Call) -> None:
    """After a kernel is replaced, every map is Keras's with that kernel; `reset` brings the first maps back."""
    from scipy.signal import correlate

    image = small.image()
    untouched = page_maps(small, call, image)
    edit = f"""(pixels) => {{
      const old = network.trace(Float32Array.from(pixels));
      const kernel = units.kernel(2, 1);
      const values = images.kernel("{preset}", kernel.height, kernel.width, kernel.channels.length);
      kernel.indexes.forEach((index, i) => network.edit(2, kernel.name, index, values[i]));
      const found = network.update(old, 2);
      return [encode(values), found.outputs.map(encode), found.outputs.map((map, i) => map === old.outputs[i])];
    }}"""
    text, maps, shared = call(edit, image.reshape(-1).tolist())
    values = numbers(text, "<f4").reshape(3, 3, 6)
    kernel = small.model.get_layer("c2").kernel
    kept = np.asarray(kernel).copy()
    changed = kept.copy()
    changed[..., 1] = values
    kernel.assign(changed)
    try:
        theirs = small.activations(image)
    finally:
        kernel.assign(kept)
    ours = [numbers(one, "<f4") for one in maps]
    assert web_numbers.largest_difference(ours, theirs) <= 1e-5
    assert shared == [True, True, False, False, False]
    assert call("() => network.edited") is True
    # What a filter is said to do, it does: SciPy's correlation with the preset of one channel.
    one = np.float32(call(f'() => Array.from(images.kernel("{preset}", 3, 3, 1))')).reshape(3, 3)
    np.testing.assert_allclose(values.sum(-1), one, atol=1e-6)
    expected = {
        "identity": lambda x: x,
        "sobel_x": lambda x: ndimage.sobel(x, 1),
        "sobel_y": lambda x: ndimage.sobel(x, 0),
    }
    if preset in expected:
        plane = np.float64(image[..., 0])
        np.testing.assert_allclose(correlate(plane, one, "valid"), expected[preset](plane)[1:-1, 1:-1])
    again = page_maps(small, call, image, "network.reset()")
    assert [a.tobytes() for a in again] == [a.tobytes() for a in untouched]
    assert call("() => network.edited") is False


def test_a_silenced_channel_is_zero(small: Net, call: web_numbers.Call) -> None:
    """A channel that is off is what Keras has with that filter's weights at 0; on again, all is as before."""
    image = small.image()
    layer = small.model.get_layer("c1")
    kept = layer.get_weights()
    layer.set_weights([np.where(np.arange(6) == 4, 0, values).astype(np.float32) for values in kept])
    try:
        theirs = small.activations(image)
    finally:
        layer.set_weights(kept)
    ours = page_maps(small, call, image, "network.silence(0, 4, true)")
    assert web_numbers.largest_difference(ours, theirs) <= 1e-5
    assert np.abs(theirs[-1] - small.activations(image)[-1]).max() > 1e-2
    shown = call(
        "() => { const { value, after, silenced } = units.explain(traced, 0, [2, 2, 4]); "
        "return [value, after, silenced, network.edited]; }"
    )
    assert shown == [0, 0, True, True]
    for again in ("network.silence(0, 4, false)", "network.silence(0, 4, true); network.reset()"):
        back = page_maps(small, call, image, again)
        assert web_numbers.largest_difference(back, small.activations(image)) <= 1e-5
        assert call("() => network.edited") is False


def test_other_weights_are_another_epoch(small: Net, call: web_numbers.Call) -> None:
    """Weights given later are those of the maps; without any, the first ones are back; a wrong length is refused."""
    image = small.image()
    kept = small.model.get_weights()
    generator = np.random.default_rng(5)
    others = [generator.normal(0, 0.3, values.shape).astype(np.float32) for values in kept]
    small.model.set_weights(others)
    try:
        theirs = small.activations(image)
    finally:
        small.model.set_weights(kept)
    text = web_numbers.encoded(b"".join(values.tobytes() for values in others))
    ours = page_maps(small, call, image, f'network.setWeights(decode("{text}"))')
    assert web_numbers.largest_difference(ours, theirs) <= 1e-5
    first = page_maps(small, call, image, "network.setWeights()")
    assert web_numbers.largest_difference(first, small.activations(image)) <= 1e-5
    refused = call("() => { try { network.setWeights(new ArrayBuffer(4)); } catch (error) { return error.message; } }")
    assert refused == "the weights are of another network"


def changed(call: web_numbers.Call, image: Any, change: str) -> Any:
    """Return what a change makes of an image."""
    height, width, channels = image.shape
    code = "([data, height, width, channels]) => { const image = { pixels: Float32Array.from(data), height, width, "
    code += f"channels }}; return encode({change}.pixels); }}"
    found = call(code, [image.reshape(-1).tolist(), height, width, channels])
    return numbers(found, "<f4").reshape(image.shape)


def test_a_shifted_image_shifts_the_map(small: Net, call: web_numbers.Call) -> None:
    """Inside the border, a convolution's map of the shifted image is the shifted map, to the last bit."""
    image = small.image()
    shifted = changed(call, image, "images.shift(image, 2, -1, 40)")
    np.testing.assert_array_equal(shifted[2:, :-1], image[:-2, 1:])
    assert set(shifted[:2].flat) | set(shifted[:, -1].flat) == {40}
    first, second = page_maps(small, call, image)[0], page_maps(small, call, shifted)[0]
    np.testing.assert_array_equal(second[3:-1, 1:-2], first[1:-3, 2:-1])
    assert np.abs(second[1:-1, 1:-1] - first[1:-1, 1:-1]).max() > 1e-2


def test_changes_of_an_image(call: web_numbers.Call) -> None:
    """Turned, blurred, brightened, noisy and covered images are NumPy's and SciPy's."""
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.float32)
    square = image[:, :9]
    np.testing.assert_array_equal(changed(call, square, "images.rotate(image, 90)"), np.rot90(square))
    np.testing.assert_array_equal(changed(call, image, "images.rotate(image, 180)"), image[::-1, ::-1])
    turned = ndimage.rotate(image, 30, reshape=False, order=1, mode="grid-constant", cval=7)
    np.testing.assert_allclose(changed(call, image, "images.rotate(image, 30, 7)"), turned, atol=1e-3)
    blurred = ndimage.gaussian_filter(image, (2, 2, 0), mode="nearest", truncate=3)
    np.testing.assert_allclose(changed(call, image, "images.blur(image, 2)"), blurred, atol=1e-3)
    np.testing.assert_array_equal(changed(call, image, "images.brightness(image, 60)"), (image + 60).clip(0, 255))
    strong = ((image - 127.5) * 1.5 + 127.5).clip(0, 255)
    np.testing.assert_array_equal(changed(call, image, "images.contrast(image, 1.5)"), strong)
    covered = image.copy()
    covered[:2, 5:9] = [1, 2, 3]
    np.testing.assert_array_equal(changed(call, image, "images.cover(image, -2, 5, 4, [1, 2, 3])"), covered)
    grey = np.full((60, 60, 1), 128, np.float32)
    noisy = changed(call, grey, "images.noise(image, 20, 5)")
    assert abs(noisy.mean() - 128) < 1
    assert abs(noisy.std() - 20) < 1
    np.testing.assert_array_equal(noisy, changed(call, grey, "images.noise(image, 20, 5)"))
    assert (noisy != changed(call, grey, "images.noise(image, 20, 6)")).any()


def test_occlusion_covers_every_pixel(call: web_numbers.Call) -> None:
    """Every place of the square is asked once, the last ones moved back inside, and can be taken one by one."""
    code = """() => {
      const image = { pixels: new Float32Array(7 * 8).fill(10), height: 7, width: 8, channels: 1 };
      const seen = [];
      const answer = ({ pixels }) => { seen.push(Array.from(pixels)); return pixels.reduce((a, b) => a + b); };
      const steps = images.occlusion(answer, image, 3, 2, 0);
      const asked = [steps.next().value, seen.length];
      let step = steps.next();
      while (!step.done) step = steps.next();
      return [asked, { ...step.value, answers: Array.from(step.value.answers) }, seen];
    }"""
    asked, found, seen = call(code)
    assert asked == [{"done": 1, "total": 12}, 1]
    assert (found["tops"], found["lefts"], found["rows"], found["columns"]) == ([0, 2, 4], [0, 2, 4, 5], 3, 4)
    covered = np.array(seen).reshape(12, 7, 8) == 0
    assert covered.any(0).all()
    assert (covered.sum((1, 2)) == 9).all()
    assert found["answers"] == [10 * (7 * 8 - 9)] * 12


def test_without_a_worker_the_same_commands_answer(small: Net, call: web_numbers.Call) -> None:
    """Where no worker can be made, as in Node, the page's own thread answers the same messages."""
    page = {**small.page(), "pixels": small.image().reshape(-1).tolist()}
    code = """async ({ program, weights, pixels }) => {
      const client = await makeClient([], program, decode(weights));
      const image = Float32Array.from(pixels);
      const first = await client.call("trace", "shown", image);
      const unit = await client.call("explain", "shown", 2, [1, 1, 3]);
      const { name, indexes } = await client.call("kernel", 2, 3);
      const edited = await client.call("edit", [[2, name, indexes[0], 5]]);
      const second = await client.call("update", "shown", 2);
      const given_up = await Promise.all([0, 1, 2].map(() => client.latest("answer", image)));
      const { height, width, channels } = program;
      const covering = client.call("occlusion", { pixels: image, height, width, channels }, 1, 3, 2, 0);
      const { rows, columns, answers } = await covering;
      const refused = await client.call("explain", "nothing", 0, [0, 0, 0]).catch((error) => error.message);
      return {
        threaded: client.threaded,
        maps: first.outputs.map(encode),
        value: unit.value,
        edited,
        sent: second.outputs.map((map) => map !== null),
        given_up: given_up.map((answer) => answer === null),
        answers: Array.from(answers),
        lengths: [rows, columns],
        second: Array.from(second.probabilities),
        refused,
        reset: await client.call("reset"),
      };
    }"""
    found = call(code, page)
    maps = [numbers(text, "<f4") for text in found["maps"]]
    theirs = small.activations(small.image())
    assert web_numbers.largest_difference(maps, theirs) <= 1e-5
    assert found["value"] == maps[2].reshape(theirs[2].shape)[1, 1, 3]
    assert (found["threaded"], found["edited"], found["reset"]) == (False, True, False)
    assert found["sent"] == [False, False, True, True, True]
    assert found["given_up"] == [False, True, False]
    assert found["lengths"] == [4, 4]
    assert np.ptp(found["answers"]) > 1e-4
    assert "undefined" in found["refused"]
