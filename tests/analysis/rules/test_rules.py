"""Each finding is reported where it should be, and not where it should not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cnncli.analysis import processor
from cnncli.analysis.check import check
from cnncli.analysis.rules import size as size_rules
from cnncli.config.load import load, loads
from cnncli.errors import Problem

HEAD = "{GlobalAveragePooling2D: {}}, {Dense: {units: 10}}"


def config(layers: str, image: int = 32, data: str = "", train: str = "") -> str:
    """Return a config's text with these layers."""
    return (
        f"name: c\ndata: {{source: digits, image_size: [{image}, {image}], channels: 1{data}}}\n"
        f"model:\n  layers: [{layers}]\ntrain: {{batch_size: 8{train}}}\n"
    )


def codes(layers: str, image: int = 32, data: str = "", train: str = "") -> list[str]:
    """Return the codes of all problems of a config."""
    return [problem.code for problem in check(loads(config(layers, image, data, train)))]


def conv(filters: int = 8, size: int = 3, **arguments: object) -> str:
    """Return a convolution as a config writes it."""
    values = {"filters": filters, "kernel_size": size, "activation": "relu", **arguments}
    return "{Conv2D: {" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}}"


SEVERAL = ", ".join([conv(), "MaxPooling2D"] * 3)
"""Layers whose receptive field is about as large as the image."""
GOOD = f"{SEVERAL}, Flatten, {{Dense: {{units: 10}}}}"


def test_a_run_names_every_value() -> None:
    """A share beside folds is a finding in a config that somebody wrote, not in the resolved one of a run."""
    written = loads(config(GOOD, 30, ", validation: 0.1, folds: 5, fold: 1"))
    of_a_run = written.model_copy(update={"origins": replace(written.origins, trained_in=(Path("runs"),))})
    assert [[problem.code for problem in check(each)] for each in (written, of_a_run)] == [["W317"], []]


def test_a_good_network_has_no_findings() -> None:
    """Nothing is reported about a network that has nothing wrong."""
    assert codes(GOOD, image=30) == []


@pytest.mark.parametrize(
    ("layers", "code"),
    [
        ("Flatten, {Dense: {units: 9}}", "E301"),
        ("Flatten, {Dense: {units: 11}}", "E301"),
        (conv(10, 3), "E301"),
        ("Flatten, {Dense: {units: 10, activation: softmax}}", "W301"),
        ("Flatten, {Dense: {units: 10}}, Softmax", "W301"),
        ("Flatten, {Dense: {units: 10}}, {Activation: {activation: softmax}}", "W301"),
        ("Flatten, {Dense: {units: 10, activation: relu}}", "W302"),
        ("Flatten, {Dense: {units: 10, activation: tanh}}", "W302"),
        ("Flatten, {Dense: {units: 10, activation: softmax}}, Softmax", "W303"),
        ("Flatten, {Dense: {units: 16, activation: softmax}}, {Dense: {units: 10}}", "W303"),
    ],
)
def test_the_head(layers: str, code: str) -> None:
    """Outputs and classes agree, and the network ends in logits."""
    assert code in codes(layers, image=8)


def test_head_is_unchecked_where_the_classes_are_unknown() -> None:
    """A folder's classes are counted when it is read, not before."""
    text = config("Flatten, {Dense: {units: 7}}", 8).replace("source: digits", "source: folder, path: images")
    assert check(loads(text)) == ()


def test_a_single_output_is_no_classifier() -> None:
    """One sigmoid output for two classes is not what the loss takes."""
    text = config("Flatten, {Dense: {units: 1}}", 8).replace("source: digits", "source: folder, path: images")
    assert [problem.code for problem in check(loads(text))] == ["E301"]


def test_window_larger_than_the_image() -> None:
    """A 5×5 window with padding on a 2×2 image sees mostly padding."""
    layers = f"{{MaxPooling2D: {{pool_size: 4}}}}, {conv(size=5, padding='same')}, {HEAD}"
    assert "W304" in codes(layers, image=8)
    assert "W304" not in codes(layers, image=32)


@pytest.mark.parametrize(
    ("layer", "image", "lost"),
    [
        ("{MaxPooling2D: {pool_size: 2}}", 9, "the last row and the last column of its 9×9 input"),
        ("{MaxPooling2D: {pool_size: 2}}", 8, None),
        ("{MaxPooling2D: {pool_size: 2, padding: same}}", 9, None),
        (conv(size=3, strides=4), 10, "the last 3 rows and the last 3 columns of its 10×10 input"),
        (conv(size=3, strides="[1, 2]"), 10, "the last column of its 10×10 input"),
        ("{ZeroPadding2D: {padding: 1}}, {MaxPooling2D: {pool_size: 3, strides: 2}}", 8, None),
    ],
)
def test_pixels_cut_off(layer: str, image: int, lost: str | None) -> None:
    """Strides that do not come out even are reported with the rows and columns that they lose; zeros do not count."""
    found = check(loads(config(f"{layer}, Flatten, {{Dense: {{units: 10}}}}", image)))
    cut = [problem for problem in found if problem.code == "W305"]
    assert len(cut) == (lost is not None)
    assert lost is None or lost in cut[0].message


def test_branches_may_cut_off() -> None:
    """A 1×1 shortcut with strides skips pixels that the layers beside it see."""
    inner = f"{conv(8, 3, strides=2, padding='same')}, {conv(8, 3, padding='same')}"
    layers = f"{{Residual: {{layers: [{inner}], shortcut: [{conv(8, 1, strides=2)}]}}}}, {HEAD}"
    assert not {"W305", "W306"} & set(codes(layers))


def test_gaps_between_windows() -> None:
    """Strides of 3 with a window of 1 leave two of three pixels unseen."""
    assert "W306" in codes(f"{conv(8, 1, strides=3)}, {HEAD}", image=31)
    assert "W306" not in codes(f"{conv(8, 3, strides=3)}, {HEAD}", image=30)


def test_receptive_field_smaller_than_the_image() -> None:
    """A global pooling after one convolution has seen 3×3 pixels at a time; Flatten keeps the places."""
    assert "W307" in codes(f"{conv()}, {HEAD}")
    assert "W307" not in codes(f"{conv(size=9)}, Flatten, {{Dense: {{units: 10}}}}")
    assert "W307" in codes(f"{conv(size=7)}, Flatten, {{Dense: {{units: 10}}}}")
    assert "W307" not in codes("Flatten, {Dense: {units: 10}}")


def test_receptive_field_far_larger_than_the_image() -> None:
    """Five 3×3 convolutions with poolings between see far more than an 8×8 image has."""
    layers = ", ".join([conv(padding="same"), "{MaxPooling2D: {pool_size: 2, padding: same}}"] * 5)
    assert "W308" in codes(f"{layers}, {HEAD}", image=8)
    assert "W308" not in codes(f"{layers}, {HEAD}", image=64)


def test_dense_layer_with_most_parameters() -> None:
    """Flatten and a wide dense layer are reported with the share; a small one is not."""
    found = check(loads(config("Flatten, {Dense: {units: 500, activation: relu}}, {Dense: {units: 10}}")))
    assert [problem.code for problem in found] == ["W309"]
    assert "512,500 of the network's 517,510 parameters (99 %)" in found[0].message
    assert codes("Flatten, {Dropout: {rate: 0.5}}, {Dense: {units: 500, activation: relu}}, {Dense: {units: 10}}") == [
        "W309"
    ]
    assert codes("Flatten, {Dense: {units: 10}}") == []


@pytest.mark.parametrize(
    ("between", "reported"),
    [
        ("", True),
        ("{AveragePooling2D: {pool_size: 2}},", True),
        ("BatchNormalization,", True),
        ("{Dropout: {rate: 0.5}},", True),
        ("ReLU,", False),
        ("MaxPooling2D,", False),
        ("{Activation: {activation: gelu}},", False),
    ],
)
def test_activation_between_two_sums(between: str, reported: bool) -> None:
    """Only what is not linear makes two layers more than one; a maximum is not linear."""
    layers = f"{conv(8, 3, activation='linear')}, {between} {conv()}, Flatten, {{Dense: {{units: 10}}}}"
    assert ("W310" in codes(layers, image=30)) == reported


def test_linear_bottlenecks_are_meant() -> None:
    """Few channels between many, and a depthwise convolution before a pointwise one, save work."""
    narrow = f"{conv(32)}, {conv(4, 1, activation='linear')}, {conv(32, 1)}, Flatten, {{Dense: {{units: 10}}}}"
    depthwise = f"{{DepthwiseConv2D: {{kernel_size: 3}}}}, {conv(8, 1)}, Flatten, {{Dense: {{units: 10}}}}"
    assert "W310" not in codes(narrow)
    assert "W310" not in codes(depthwise)


UP = "{UpSampling2D: {size: 2}}"
TRANSPOSED = "{{Conv2DTranspose: {{filters: 8, kernel_size: 2, strides: {}}}}}"
SAME_LINEAR = conv(8, 3, activation="linear", padding="same")
PIXEL_HEAD = "{Conv2D: {filters: 11, kernel_size: 1}}"


@pytest.mark.parametrize(
    ("layers", "reported"),
    [
        (f"{SAME_LINEAR}, {TRANSPOSED.format(2)}, ReLU", False),
        (f"{TRANSPOSED.format(2)}, {SAME_LINEAR}, ReLU", False),
        (f"{TRANSPOSED.format(2)}", False),
        (f"{SAME_LINEAR}, {UP}, {SAME_LINEAR}, ReLU", False),
        (f"{SAME_LINEAR}, {{Resizing: {{like: input}}}}, {SAME_LINEAR}, ReLU", False),
        (f"{UP}, {SAME_LINEAR}", False),
        (f"{SAME_LINEAR}, {TRANSPOSED.format(1)}, ReLU", True),
        (f"{TRANSPOSED.format(1)}, {SAME_LINEAR}, ReLU", True),
        (f"{UP}, {SAME_LINEAR}, {SAME_LINEAR}, ReLU", True),
        (f"{SAME_LINEAR}", True),
        (f"{SAME_LINEAR}, {UP}, {{AveragePooling2D: {{pool_size: 2}}}}, {SAME_LINEAR}, ReLU", True),
        (f"{SAME_LINEAR}, {{ZeroPadding2D: {{padding: 2}}}}, {SAME_LINEAR}, ReLU", True),
    ],
)
def test_up_convolutions_are_more_than_one_layer(layers: str, reported: bool) -> None:
    """Neither the layer before one nor a 1×1 head after it is too many; without strides it is a convolution."""
    below = f"{conv(8)}, {{MaxPooling2D: {{pool_size: 2}}}}"
    text = config(f"{below}, {layers}, {PIXEL_HEAD}").replace("data: {source: digits", "data: {source: digit_scenes")
    found = [p.code for p in check(loads(text.replace("name: c", "name: c\ntask: segmentation")))]
    assert ("W310" in found) == reported


def test_addition_does_not_make_sums_more() -> None:
    """Two linear branches that are added are followed by a linear layer: still linear."""
    linear = conv(8, 1, activation="linear")
    layers = f"{conv(8)}, {{Residual: {{layers: [{linear}]}}}}, {conv(8)}, Flatten, {{Dense: {{units: 10}}}}"
    assert "W310" in codes(layers)


@pytest.mark.parametrize(
    ("bias", "activation", "reported"), [("true", "linear", True), ("false", "linear", False), ("true", "relu", False)]
)
def test_bias_before_batch_normalization(bias: str, activation: str, reported: bool) -> None:
    """A bias right before a batch normalization does nothing; before an activation it does."""
    first = conv(8, 3, use_bias=bias, activation=activation)
    found = codes(f"{first}, BatchNormalization, ReLU, Flatten, {{Dense: {{units: 10}}}}")
    assert ("W311" in found) == reported


@pytest.mark.parametrize("train", [", early_stopping: {}", ", schedule: {ReduceLROnPlateau: {}}"])
def test_monitor_without_a_validation_split(train: str) -> None:
    """Without validation examples there is no validation metric to watch."""
    assert codes(GOOD, image=30, data=", validation: 0.0", train=train) == ["E302"]
    assert codes(GOOD, image=30, train=train) == []


def test_batch_larger_than_the_split() -> None:
    """The digits have 1,442 examples for training, of which a tenth is held back."""
    assert "W313" not in codes(GOOD, image=30)
    big = config(GOOD, 30).replace("batch_size: 8", "batch_size: 1442")
    (problem,) = check(loads(big))
    assert (problem.code, problem.path) == ("W313", "train.batch_size")


@pytest.mark.parametrize(
    ("momentum", "train", "reported"),
    [
        (0.99, ", epochs: 1", True),
        (0.99, ", epochs: 2", False),
        (0.9, ", epochs: 1", False),
        (0.999, ", epochs: 100, early_stopping: {patience: 2}", True),
        (0.999, ", epochs: 100", False),
    ],
)
def test_running_means_that_do_not_arrive(momentum: float, train: str, reported: bool) -> None:
    """1,298 examples in batches of 8 make 163 steps an epoch; 0.99 ** 163 is a fifth."""
    norm = f"{{BatchNormalization: {{momentum: {momentum}}}}}"
    layers = GOOD.replace("MaxPooling2D", f"{norm}, MaxPooling2D", 1)
    assert ("W315" in codes(layers, image=30, train=train)) == reported


STALE_NORM = GOOD.replace("MaxPooling2D", "{BatchNormalization: {momentum: 0.999}}, MaxPooling2D", 1)


@pytest.mark.parametrize(
    ("train", "reported"),
    [
        ('groups: [{layers: "batch*", trainable: false}]', False),
        ('groups: [{layers: "batch*"}, {layers: "*", trainable: false}]', True),
        ("start_from: {weights: imagenet}", False),
        ("start_from: {run: photos}", False),
        ('start_from: {run: photos, layers: "conv*"}', True),
    ],
)
def test_running_means_that_are_there_already(train: str, reported: bool) -> None:
    """Frozen ones do not move, and those learned elsewhere do not begin at 0 and 1."""
    assert ("W315" in codes(STALE_NORM, image=30, train=f", epochs: 1, {train}")) == reported


@pytest.mark.parametrize(
    ("start", "reported"), [("{weights: imagenet}", False), ("{run: photos}", False), ("{run: a, layers: dense}", True)]
)
def test_a_bias_learned_elsewhere_is_no_mistake(start: str, reported: bool) -> None:
    """Without it the layer could not take its weights."""
    layers = f"{conv(8)}, BatchNormalization, ReLU, Flatten, {{Dense: {{units: 10}}}}"
    layers = layers.replace("activation: relu", "activation: linear")
    assert ("W311" in codes(layers, train=f", start_from: {start}")) == reported
    assert "W311" in codes(layers)


def test_training_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What training takes is compared with what the machine has, in GB."""
    monkeypatch.setattr(size_rules, "machine_memory", lambda: 10**9)
    found = {problem.code: problem for problem in check(load("vgg16"))}
    assert "this machine has 1.0 GB" in found["W314"].message
    monkeypatch.setattr(size_rules, "machine_memory", lambda: None)
    assert "W314" not in {problem.code for problem in check(load("vgg16"))}


def test_training_memory_of_a_batch_larger_than_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is never larger than the 1,298 examples that train: what is forecast is what such a batch takes."""
    monkeypatch.setattr(size_rules, "machine_memory", lambda: 10**6)
    whole, huge = (
        {problem.code: problem for problem in check(loads(config(GOOD, 30).replace("batch_size: 8", text)))}
        for text in ("batch_size: 1298", "batch_size: 100000000")
    )
    (exact,), (forecast,) = (re.findall(r"about ([\d.]+) GB", found["W314"].message) for found in (whole, huge))
    assert exact == forecast
    assert "at batch size 1,298;" in whole["W314"].message
    assert "at batch size 1,298, the whole training split;" in huge["W314"].message
    assert "W313" in huge


def test_the_machine_has_memory() -> None:
    """Where the system tells, the memory is a plausible number of bytes."""
    found = size_rules.machine_memory()
    assert found is None or found > 2**27


def test_a_container_has_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least of the machine's memory and the limits of its control groups; "max" is no limit."""
    for name, text in (("one", "max\n"), ("two", "123456789\n")):
        (tmp_path / name).write_text(text, encoding="ascii")
    physical = size_rules.machine_memory()
    monkeypatch.setattr(size_rules, "_CGROUP_LIMITS", (str(tmp_path / "one"), str(tmp_path / "none")))
    unlimited = size_rules.machine_memory()
    monkeypatch.setattr(size_rules, "_CGROUP_LIMITS", (str(tmp_path / "one"), str(tmp_path / "two")))
    assert size_rules.machine_memory() == (None if physical is None else 123456789)
    assert unlimited is None or physical is None or unlimited >= physical > 123456789


def place(problem: Problem) -> tuple[int | None, int | None, str]:
    """Return where a problem is."""
    return problem.line, problem.column, problem.path


def test_problems_have_places() -> None:
    """A finding points at its layer."""
    (problem,) = check(loads(config("Flatten, {Dense: {units: 9}}", 8)))
    assert place(problem) == (4, 22, "model.layers[1].Dense")
    assert problem.excerpt == "  layers: [Flatten, {Dense: {units: 9}}]"


def test_errors_come_before_warnings() -> None:
    """What stops a run stands first, whatever the order in the file."""
    found = check(loads(config(f"{conv()}, {HEAD.replace('10', '9')}")))
    assert [problem.severity for problem in found] == ["error", "warning"]


def test_repeated_layers_are_reported_once() -> None:
    """A layer that is written once and used many times gives one finding."""
    block = f"{{Repeat: {{times: 5, layers: [{conv(activation='linear')}, BatchNormalization, ReLU]}}}}"
    assert codes(f"{block}, Flatten, {{Dense: {{units: 10}}}}").count("W311") == 1


@pytest.mark.parametrize(
    ("flags", "gpu", "hint"),
    [
        ("fma avx2 avx512f avx512_bf16", False, "mixed_bfloat16"),
        ("fma avx2", False, "float32"),
        ("fma avx2 avx512f avx512_bf16 avx512_fp16", False, None),
        ("fma avx2", True, None),
        (None, False, None),
    ],
)
def test_float16_without_the_instructions(
    flags: str | None, gpu: bool, hint: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor without float16 is reported with the alternative; not where a GPU trains or nothing is known."""
    cpuinfo, device = tmp_path / "cpuinfo", tmp_path / "gpu"
    if flags is not None:
        cpuinfo.write_text(f"processor\t: 0\nmodel name\t: A CPU\nflags\t\t: {flags}\n", encoding="ascii")
    if gpu:
        device.touch()
    monkeypatch.setattr(processor, "_CPUINFO", cpuinfo)
    monkeypatch.setattr(processor, "_GPUS", (device,))
    text = config(GOOD, 30, train=", precision: mixed_float16")
    found = [(problem.code, problem.path, problem.hint) for problem in check(loads(text))]
    expected = [("W316", "train.precision", f"Use precision: {hint}, or a machine with a GPU.")]
    assert found == (expected if hint else [])
    assert "W316" not in codes(GOOD, 30, train=", precision: mixed_bfloat16")


@pytest.mark.parametrize(
    ("frozen", "groups", "found"),
    [
        ("false", "", True),
        ("true", ", groups: [{layers: 'dense*', trainable: false}]", True),
        ("true", ", groups: [{layers: '*', learning_rate: 0.1}, {layers: '*', trainable: false}]", False),
        ("true", ", groups: [{layers: 'flat*', trainable: false}]", False),
        ("true", "", False),
    ],
)
def test_something_must_learn(frozen: str, groups: str, found: bool) -> None:
    """Without a weight that training may change there is no training; of groups, the first that fits counts."""
    layers = f"BatchNormalization: {{trainable: false}}}}, Flatten, {{Dense: {{units: 10, trainable: {frozen}}}"
    assert ("E303" in codes(f"{{{layers}}}", train=groups)) == found
