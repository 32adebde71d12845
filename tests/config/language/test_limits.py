"""What every setting may be, at its limits and just beyond them, and what it is where nothing is said."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from cnncli.config.dump import with_defaults
from cnncli.config.load import loads
from cnncli.config.schema.json_schema import json_schema
from cnncli.config.schema.schedules import SCHEDULES
from cnncli.errors import ConfigError

TEXT = """
name: n
data: {source: digits, image_size: [8, 8]}
model: {layers: [Flatten, Dense: {units: 10}]}
"""

COUNTS = ["1", "1000000"], ["0", "-1", "1.5", "true", "'1'", "null", "[1]"]
POSITIVE = ["1e-9", "1", "1e9"], ["0", "-1e-9", ".inf", ".nan", "'1'", "true"]
NOT_NEGATIVE = ["0", "1e-9", "7"], ["-1e-9", "'0'", ".nan"]
SHARE = ["0", "0.5", "1"], ["-1e-9", "1.000001"]
SIGNED = ["-1", "0", "1"], ["-1.000001", "1.000001"]
OPEN = ["1e-9", "0.999999"], ["0", "1", "-1"]
MOMENTUM = ["0", "0.999999"], ["-1e-9", "1"]


def optional(limits: tuple[list[str], list[str]]) -> tuple[list[str], list[str]]:
    """Return limits of what may also be null."""
    return [*limits[0], "null"], [value for value in limits[1] if value != "null"]


def one(limits: tuple[list[str], list[str]], form: str) -> tuple[list[str], list[str]]:
    """Return limits of a value within another: `{Name: {argument: ?}}`."""
    good, bad = ([form.replace("?", value) for value in values] for values in limits)
    return good, bad


def pairs(limits: tuple[list[str], list[str]]) -> tuple[list[str], list[str]]:
    """Return limits of what may be one number or two."""
    good, bad = limits
    return [*good, *(f"[0, {value}]" for value in good)], [
        *bad,
        *(f"[0, {value}]" for value in bad),
        "[0]",
        "[0, 0, 0]",
    ]


LIMITS: dict[str, list[tuple[list[str], list[str]]]] = {
    "name": [(["a", "A9._-", "a" * 100], ["''", "-a", "a" * 101, "a b", "1", "null"])],
    "seed": [(["0", str(2**31 - 1)], ["-1", str(2**31), "1.5", "null"])],
    "data.image_size": [
        (["[1, 1]", "[65536, 1]"], ["[0, 1]", "[1, 0]", "[65537, 1]", "[1, 65537]", "[1]", "[1, 1, 1]", "1"])
    ],
    "data.channels": [(["1", "3"], ["0", "2", "4", "null"])],
    "data.validation": [(["0.0", "0.999", "test"], ["1.0", "-0.001", "null", "true"])],
    "data.resize.method": [(["bilinear", "nearest", "bicubic", "area"], ["lanczos", "null"])],
    "data.resize.fit": [(["stretch", "crop", "pad"], ["fill"])],
    "data.on_bad_image": [(["error", "skip"], ["ignore"])],
    "data.augmentation": [
        one(pairs(SIGNED), "[RandomTranslation: {height_factor: ?, width_factor: 0}]"),
        one(pairs(SIGNED), "[RandomTranslation: {height_factor: 0, width_factor: ?}]"),
        one(pairs(SIGNED), "[RandomRotation: {factor: ?}]"),
        one(pairs(SIGNED), "[RandomZoom: {height_factor: ?}]"),
        one(optional(pairs(SIGNED)), "[RandomZoom: {height_factor: 0, width_factor: ?}]"),
        one(pairs(SIGNED), "[RandomBrightness: {factor: ?}]"),
        one(pairs(SHARE), "[RandomContrast: {factor: ?}]"),
        one(pairs(SHARE), "[RandomErasing: {factor: ?}]"),
        one(SHARE, "[RandomErasing: {scale: [?, 0.5]}]"),
        one(SHARE, "[RandomErasing: {scale: [0.5, ?]}]"),
        one(SHARE, "[MixUp: {alpha: ?}]"),
        one(pairs(SHARE), "[CutMix: {factor: ?}]"),
        one((["-1", "0", "255.5", "mean"], ["median", "null", "[0, 0, 0]"]), "[RandomScale: {fill_value: ?}]"),
        one((["reflect", "constant", "wrap", "nearest"], ["zeros", "null"]), "[RandomCrop: {fill_mode: ?}]"),
        one(SHARE, "[Mosaic: {probability: ?}]"),
        one(SHARE, "[Mosaic: {offset: [?, 0.5]}]"),
        one(SHARE, "[Mosaic: {offset: [0.5, ?]}]"),
        one((["0.1", "10.0"], ["0.09", "10.1"]), "[Mosaic: {scale: [?, 1.0]}]"),
        one((["0.1", "10.0"], ["0.09", "10.1"]), "[Mosaic: {scale: [1.0, ?]}]"),
        one((["1", "2"], ["0", "1.5"]), "[RandAugment: {num_ops: ?}]"),
        one(SHARE, "[RandAugment: {factor: ?}]"),
        one((["1", "8", "null"], ["0", "1.5"]), "[RandomCrop: {height: ?}]"),
        one((["1", "8", "null"], ["0", "1.5"]), "[RandomCrop: {width: ?}]"),
        one((["0", "4"], ["-1", "0.5"]), "[RandomCrop: {padding: ?}]"),
    ],
    "train.epochs": [COUNTS],
    "train.batch_size": [COUNTS],
    "train.accumulate": [COUNTS],
    "train.threads": [(["1", "1024", "null"], ["0", "-1", "1025", "100000000", "1.5", "true", "'1'", "[1]"])],
    "train.ema": [optional(OPEN)],
    "train.clip_norm": [optional(POSITIVE)],
    "train.max_minutes": [optional(POSITIVE)],
    "train.replay": [(["true", "false"], ["1", "null"])],
    "train.precision": [(["float32", "mixed_bfloat16", "mixed_float16"], ["float16"])],
    "train.loss.label_smoothing": [MOMENTUM],
    "train.loss.class_weights": [(["none", "balanced", "{a: 0.1}"], ["{a: 0}", "{a: -1}", "other", "null"])],
    "train.early_stopping.patience": [COUNTS],
    "train.early_stopping.min_delta": [NOT_NEGATIVE],
    "train.early_stopping.monitor": [(["loss", "accuracy", "validation_loss", "validation_accuracy"], ["val_loss"])],
    "train.checkpoint.keep": [(["2", "9"], ["1", "0", "2.5", "null"])],
    "train.checkpoint.every": [
        (
            ["epoch", "{epochs: 1}", "{steps: 1}", "{minutes: 1}"],
            ["step", "{steps: 0}", "{seconds: 1}", "{minutes: 0.5}"],
        )
    ],
    "train.groups": [
        one(([*POSITIVE[0], "null"], POSITIVE[1]), "[{layers: dense, learning_rate: ?}]"),
        one(optional(NOT_NEGATIVE), "[{layers: dense, weight_decay: ?}]"),
        one((["dense", "'*'"], ["''", "null"]), "[{layers: ?}]"),
        one((["true", "false"], ["null"]), "[{layers: dense, trainable: ?}]"),
    ],
    "train.start_from": [
        (
            ["{run: a}", "{run: a, layers: 'c*'}", "{weights: imagenet}", "{run: a, weights: null}", "null"],
            ["{run: ''}", "{weights: ''}", "{run: a, layers: ''}", "{}"],
        )
    ],
    "train.schedule": [
        one(NOT_NEGATIVE, "{Constant: {warmup_epochs: ?}}"),
        one(POSITIVE, "{StepDecay: {every: ?}}"),
        one(OPEN, "{StepDecay: {factor: ?}}"),
        one(OPEN, "{ExponentialDecay: {decay_rate: ?}}"),
        one(POSITIVE, "{ExponentialDecay: {decay_epochs: ?}}"),
        one(POSITIVE, "{PolynomialDecay: {power: ?}}"),
        one(SHARE, "{PolynomialDecay: {alpha: ?}}"),
        one(SHARE, "{LinearDecay: {alpha: ?}}"),
        one(SHARE, "{CosineDecay: {alpha: ?}}"),
        one(SHARE, "{OneCycle: {peak: ?}}"),
        one(SHARE, "{OneCycle: {start: ?}}"),
        one(SHARE, "{OneCycle: {end: ?}}"),
        one(OPEN, "{ReduceLROnPlateau: {factor: ?}}"),
        one(COUNTS, "{ReduceLROnPlateau: {patience: ?}}"),
        one(NOT_NEGATIVE, "{ReduceLROnPlateau: {min_delta: ?}}"),
        one((["0", "3"], ["-1", "0.5"]), "{ReduceLROnPlateau: {cooldown: ?}}"),
        (
            ["{PiecewiseConstant: {boundaries: [1], values: [1, 0]}}"],
            ["{PiecewiseConstant: {boundaries: [], values: [1, 0]}}"],
        ),
    ],
    "train.optimizer": [
        *(one(POSITIVE, f"{{{name}: {{learning_rate: ?}}}}") for name in ("SGD", "Adam", "RMSprop", "Lion", "Muon")),
        *(one(MOMENTUM, f"{{Adam: {{{name}: ?}}}}") for name in ("beta_1", "beta_2")),
        *(one(POSITIVE, f"{{{name}: {{epsilon: ?}}}}") for name in ("Adam", "RMSprop", "Adagrad", "Adadelta", "Muon")),
        *(one(optional(NOT_NEGATIVE), f"{{{name}: {{weight_decay: ?}}}}") for name in ("AdamW", "Muon")),
        *(one(MOMENTUM, f"{{{name}: {{momentum: ?}}}}") for name in ("SGD", "RMSprop", "Muon")),
        *(one(MOMENTUM, f"{{{name}: {{rho: ?}}}}") for name in ("RMSprop", "Adadelta")),
        *(one(MOMENTUM, f"{{Lion: {{{name}: ?}}}}") for name in ("beta_1", "beta_2")),
        *(one(MOMENTUM, f"{{Muon: {{{name}: ?}}}}") for name in ("adam_beta_1", "adam_beta_2")),
        one(NOT_NEGATIVE, "{Adagrad: {initial_accumulator_value: ?}}"),
        one(NOT_NEGATIVE, "{Muon: {adam_weight_decay: ?}}"),
        one(POSITIVE, "{Muon: {adam_lr_ratio: ?}}"),
        one((["1", "5"], ["0", "1.5"]), "{Muon: {ns_steps: ?}}"),
        one(optional(POSITIVE), "{Muon: {rms_rate: ?}}"),
    ],
}
"""For each setting what it may be, and what it may not be."""


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """The JSON Schema of a config file."""
    return Draft202012Validator(json_schema())


def document(path: str, value: Any) -> dict[str, Any]:
    """Return the config with a setting, as plain data."""
    found: dict[str, Any] = yaml.safe_load(TEXT)
    *steps, last = path.split(".")
    inner = found
    for step in steps:
        inner = inner.setdefault(step, {})
    inner[last] = value
    return found


@pytest.mark.parametrize("path", LIMITS)
def test_limits(path: str, validator: Draft202012Validator) -> None:
    """At a limit a setting is taken, beyond it refused at its place; the JSON Schema for editors says the same."""
    for good, bad in LIMITS[path]:
        for value in good:
            loads(TEXT, overrides=[f"{path}={value}"])
        for value in bad:
            with pytest.raises(ConfigError) as caught:
                loads(TEXT, overrides=[f"{path}={value}"])
            paths = [problem.path for problem in caught.value.problems]
            assert all(reported.startswith(path) for reported in paths), (value, paths)
        for value in [*good, *bad]:
            if ".nan" not in value and ".inf" not in value:  # JSON has no such numbers
                read = yaml.load(value.replace("e-9", ".0e-9").replace("1e9", "1.0e+9"), yaml.CSafeLoader)
                assert validator.is_valid(document(path, read)) == (value in good), value


ADAM = {
    "learning_rate": 0.001,
    "weight_decay": None,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-7,
    "amsgrad": False,
}


def test_defaults() -> None:
    """A config that says only what it must has these settings."""
    written = with_defaults(loads(TEXT))
    assert written["data"] == {
        "source": "digits",
        "path": None,
        "image_size": [8, 8],
        "channels": 1,
        "resize": {"method": "bilinear", "fit": "stretch"},
        "validation": 0.1,
        "augmentation": [],
        "on_bad_image": "error",
    }
    assert written["seed"] == 0
    train = written["train"]
    expected = {
        "optimizer": {"Adam": ADAM},
        "epochs": 10,
        "batch_size": 128,
        "accumulate": 1,
        "schedule": {"Constant": {"warmup_epochs": 0.0}},
        "loss": {"label_smoothing": 0.0, "class_weights": "none"},
        "precision": "float32",
        "ema": None,
        "clip_norm": None,
        "groups": [],
        "start_from": None,
        "early_stopping": None,
        "max_minutes": None,
        "checkpoint": {"every": "epoch", "keep": 2},
        "replay": False,
        "threads": None,
    }
    assert {key: train[key] for key in expected} == expected


def test_defaults_of_what_can_be_left_out() -> None:
    """Early stopping, groups and a start from another run, where only the necessary is said."""
    changes = ["train.early_stopping={}", "train.groups=[{layers: dense}]", "train.start_from={run: r}"]
    train = with_defaults(loads(TEXT, overrides=changes))["train"]
    assert train["early_stopping"] == {"monitor": "validation_accuracy", "patience": 5, "min_delta": 0.0}
    assert train["groups"] == [{"layers": "dense", "learning_rate": None, "weight_decay": None, "trainable": True}]
    assert train["start_from"] == {"run": "r", "weights": None, "layers": "*"}


def test_defaults_of_schedules() -> None:
    """Every schedule without arguments, but the one that needs some."""
    found = {
        name: kind().model_dump(exclude={"warmup_epochs"})
        for name, kind in SCHEDULES.items()
        if "Piecewise" not in name
    }
    assert found == {
        "Constant": {},
        "StepDecay": {"every": 30.0, "factor": 0.1},
        "ExponentialDecay": {"decay_rate": 0.96, "decay_epochs": 1.0, "staircase": False},
        "PolynomialDecay": {"power": 1.0, "alpha": 0.0},
        "LinearDecay": {"alpha": 0.0},
        "CosineDecay": {"alpha": 0.0},
        "OneCycle": {"peak": 0.3, "start": 0.04, "end": 4e-6},
        "ReduceLROnPlateau": {
            "monitor": "validation_loss",
            "factor": 0.1,
            "patience": 10,
            "min_delta": 1e-4,
            "cooldown": 0,
        },
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{boundaries: [2, 1], values: [1, 1, 1]}", "The boundaries must increase; got [2.0, 1.0]."),
        ("{boundaries: [1, 1], values: [1, 1, 1]}", "The boundaries must increase; got [1.0, 1.0]."),
        ("{boundaries: [1, 2], values: [1, 1]}", "2 boundaries need 3 values; got 2."),
        ("{boundaries: [1, 2], values: [1, 1, 1, 1]}", "2 boundaries need 3 values; got 4."),
    ],
)
def test_pieces_fit_their_boundaries(arguments: str, words: str) -> None:
    """Boundaries rise, and there is one value more than boundaries."""
    with pytest.raises(ConfigError, match=r"train\.schedule") as caught:
        loads(TEXT, overrides=[f"train.schedule={{PiecewiseConstant: {arguments}}}"])
    assert words in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("crop", "fits"),
    [
        ("{height: 8, width: 8}", True),
        ("{height: 9}", False),
        ("{width: 9}", False),
        ("{height: 10, width: 10, padding: 1}", True),
        ("{height: 11, width: 10, padding: 1}", False),
        ("{padding: 4}", True),
    ],
)
def test_a_crop_is_no_larger_than_the_image_with_its_border(crop: str, fits: bool) -> None:
    """The border counts on both sides."""
    change = [f"data.augmentation=[RandomCrop: {crop}]"]
    if fits:
        loads(TEXT, overrides=change)
    else:
        size = "10×10" if "padding" in crop else "8×8"
        with pytest.raises(ConfigError, match=f"with its padding, {size}"):
            loads(TEXT, overrides=change)


@pytest.mark.parametrize("source", ["npz", "folder", "csv", "tfds"])
def test_sources_outside_need_a_path(source: str) -> None:
    """The sets that cnncli knows do not."""
    with pytest.raises(ConfigError, match="requires a path"):
        loads(TEXT, overrides=[f"data.source={source}"])
    assert loads(TEXT, overrides=[f"data.source={source}", "data.path=x"]).data.path == "x"
    assert loads(TEXT, overrides=["data.source=cifar10"]).data.path is None
