"""Names, arguments and defaults of optimizers and augmentations are Keras's own."""

from __future__ import annotations

import inspect

import pytest

from cnncli.config.schema.augmentation import AUGMENTATIONS
from cnncli.config.schema.optimizers import OPTIMIZERS

pytestmark = pytest.mark.engine

NOT_IN_KERAS = {"Mosaic", "RandomRotate90", "RandomScale"}
"""Keras 3.15 has no change that combines images in parts, that turns them by 90°, or that shows a random part."""

OURS_ALONE = {"RandomCrop": {"padding", "fill_mode", "fill_value"}}
"""Arguments that Keras's class does not have."""
OTHER_DEFAULTS = {("Muon", "exclude_layers")}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_made_as_keras_makes_it(name: str) -> None:
    """Every argument is one of Keras's, with its default, and the optimizer can be built."""
    import keras

    theirs = inspect.signature(getattr(keras.optimizers, name).__init__).parameters
    for argument, field in OPTIMIZERS[name].model_fields.items():
        assert theirs[argument].default == field.default, argument
    made = getattr(keras.optimizers, name)(**OPTIMIZERS[name]().keras_arguments())
    made.build([keras.Variable([[1.0]], name="kernel")])


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in NOT_IN_KERAS])
def test_an_augmentation_has_keras_names_and_defaults(name: str) -> None:
    """Every argument is one of Keras's, required where it is there, with the same default elsewhere."""
    import keras

    theirs = inspect.signature(getattr(keras.layers, name).__init__).parameters
    for argument, field in AUGMENTATIONS[name].model_fields.items():
        if argument in OURS_ALONE.get(name, set()):
            continue
        required = theirs[argument].default is inspect.Parameter.empty
        if name == "RandomCrop":
            assert field.default is None
        else:
            assert field.is_required() == required, argument
            assert required or theirs[argument].default == field.default, argument
