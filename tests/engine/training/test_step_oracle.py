"""Training steps end at the weights of a loop that is written out with Keras's own optimizers, losses and schedules.

The other loop uses nothing of this project: a Keras model built by hand with the same start weights, NumPy for the
order of the examples, clipping, averages and groups, and Keras for the rest. After 21 steps weights differ by at most
1e-5. Both compute in float32; smooth activations and an epsilon of 1e-4 keep gradients near zero, which are mostly
rounding, from deciding a step of Adam's: the differences seen were below 2e-6.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine

EXAMPLES, BATCH, EPOCHS, CLASSES, SEED = 21, 8, 7, 4, 5
STEPS_PER_EPOCH = 3  # the last of five examples

CONFIG = """
name: steps
seed: {seed}
data: {{source: digits, image_size: [{side}, {side}], channels: 1}}
model:
  layers:
    - Conv2D: {{filters: 3, kernel_size: 3, activation: {activation}{conv}}}
    - MaxPooling2D: {{pool_size: 2}}
    - Flatten
    - Dense: {{units: {classes}{dense}}}
train:
  epochs: {epochs}
  batch_size: {batch}
  optimizer: {optimizer}
{train}
"""

RATES = {"SGD": 0.1, "Adam": 0.01, "AdamW": 0.01, "Muon": 0.01}

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Adam": {"beta_1": 0.8, "epsilon": 1e-4},
    "AdamW": {"weight_decay": 0.05, "epsilon": 1e-4},
    "Muon": {"exclude_layers": ["dense"], "adam_weight_decay": 0.02, "weight_decay": 0.1, "epsilon": 1e-4},
}


@dataclass(frozen=True)
class Case:
    """What is switched on, for the config and for the loop that is written out."""

    train: tuple[str, ...] = ()
    clip: float | None = None
    group: dict[str, float] | None = None
    accumulate: int = 1
    ema: float | None = None
    smoothing: float = 0.0
    weights: tuple[float, ...] = (1.0,) * CLASSES
    penalties: tuple[float, float] = (0.0, 0.0)
    schedule: str = "constant"
    side: int = 8
    activation: str = "tanh"
    parts: int = 1


GROUP = {"learning_rate": 0.02, "weight_decay": 0.3}
GROUPS = "groups: [{layers: 'conv*', learning_rate: 0.02, weight_decay: 0.3}]"

CASES = {
    "clip": Case(("clip_norm: 0.2",), clip=0.2),
    "groups": Case((GROUPS,), group=GROUP),
    "clip and groups": Case(("clip_norm: 0.2", GROUPS), clip=0.2, group=GROUP),
    "accumulate": Case(("accumulate: 3",), accumulate=3),
    "clip, groups and accumulate": Case(
        ("clip_norm: 0.2", GROUPS, "accumulate: 2"), clip=0.2, group=GROUP, accumulate=2
    ),
    "ema": Case(("ema: 0.7",), ema=0.7),
    "smoothing": Case(("loss: {label_smoothing: 0.2}",), smoothing=0.2),
    "class weights": Case(("loss: {class_weights: {b: 3.0, d: 0.5}}",), weights=(1.0, 3.0, 1.0, 0.5)),
    "regularizers": Case(penalties=(0.03, 0.01)),
    "warm-up and decay": Case(("schedule: {CosineDecay: {warmup_epochs: 2, alpha: 0.1}}",), schedule="cosine"),
    "plateau with cooldown": Case(
        ("schedule: {ReduceLROnPlateau: {monitor: loss, patience: 1, min_delta: 0.3, factor: 0.5, cooldown: 2}}",),
        schedule="plateau",
    ),
    "folded": Case(side=16, activation="swish"),
    "halves": Case(parts=2),
}


def config_of(case: Case, optimizer: str, options: dict[str, Any]) -> Any:
    """Return the config of a case."""
    from cnncli.config.load import loads

    conv, dense = case.penalties
    settings = ", ".join(f"{name}: {_yaml(value)}" for name, value in options.items())
    text = CONFIG.format(
        seed=SEED,
        side=case.side,
        classes=CLASSES,
        epochs=EPOCHS,
        batch=BATCH,
        activation=case.activation,
        conv=f", kernel_regularizer: {{L2: {{l2: {conv}}}}}" if conv else "",
        dense=f", kernel_regularizer: {{L1: {{l1: {dense}}}}}" if dense else "",
        optimizer=f"{{{optimizer}: {{{settings}}}}}",
        train="\n".join(f"  {line}" for line in case.train),
    )
    return loads(text)


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def examples(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images and their class numbers, some more often than others."""
    rng = np.random.default_rng(1)
    labels = rng.choice(CLASSES, EXAMPLES, p=[0.4, 0.3, 0.2, 0.1])
    images = rng.integers(0, 256, (EXAMPLES, side, side, 1), np.uint8)
    images[np.arange(EXAMPLES), labels] //= 4  # a dark row tells the class
    return images, labels


def setup_of(config: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    """Return what trains on these examples."""
    from cnncli.datasets.splits import Split, Splits
    from cnncli.datasets.targets import ClassNumbers
    from cnncli.engine.training.setup import Setup

    split = Split(
        "train", images, ClassNumbers(labels.astype(np.int64)), [str(number) for number in range(len(labels))]
    )
    setup = Setup.of(config, Splits(tuple("abcd"), split, None, None))
    setup.begin()
    return setup


def trained(setup: Any) -> tuple[list[np.ndarray], list[np.ndarray], list[float]]:
    """Train to the end; return the weights, their running averages (none without `ema`), and each epoch's loss."""
    from cnncli.engine.training.progress import Progress

    losses, progress = [], Progress()
    for epoch in range(EPOCHS):
        while progress.batch < STEPS_PER_EPOCH:
            chunk = setup.feed.chunk(epoch, progress.batch, 2)
            rates = setup.rates(progress.step, len(chunk.plan), progress.plateau_factor)
            taken = setup.loop.run(chunk, rates, progress.step)
            assert len(taken) == len(chunk.plan)
            progress = progress.after_steps(len(taken), 0.1)
        losses.append(setup.loop.means().loss)
        progress = progress.after_epoch(setup.loop.means().by_name(), setup.config)
        setup.loop.reset_means()
    weights = [np.asarray(weight) for weight in setup.model.trainable_weights]
    with setup.loop.updates.averaged():
        averages = [np.asarray(weight) for weight in setup.model.trainable_weights]
    return weights, averages, losses


class Loop:
    """The same training, written out.

    Args:
        case: What is switched on.
        optimizer: Name of Keras's class.
        options: Its arguments.
        start: Weights to begin with: kernel and bias of the convolution, of the dense layer.
    """

    def __init__(self, case: Case, optimizer: str, options: dict[str, Any], start: list[np.ndarray]) -> None:
        import keras

        self.case = case
        conv, dense = (None, None) if not any(case.penalties) else case.penalties
        self.model = keras.Sequential(
            [
                keras.Input((case.side, case.side, 1)),
                keras.layers.Conv2D(
                    3, 3, activation=case.activation, kernel_regularizer=conv and keras.regularizers.L2(conv)
                ),
                keras.layers.MaxPooling2D(2),
                keras.layers.Flatten(),
                keras.layers.Dense(CLASSES, kernel_regularizer=dense and keras.regularizers.L1(dense)),
            ]
        )
        self.model.set_weights(start)
        # Kernels as matrices, as Muon takes them; to the others the shape is all one.
        names = ("conv_kernel", "conv_bias", "dense_kernel", "dense_bias")
        self.matrices = [
            keras.Variable(value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value, name=name)
            for name, value in zip(names, start, strict=True)
        ]
        own = case.group or {}
        self.bases = [own.get("learning_rate", options["learning_rate"]), options["learning_rate"]]
        self.optimizers = []
        for share, more in ((slice(0, 2), own), (slice(2, 4), {})):
            made = getattr(keras.optimizers, optimizer)(**options | more)
            made.build(self.matrices[share])
            self.optimizers.append((made, share))
        self.loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=case.smoothing, reduction="none"
        )
        self.sums: list[np.ndarray] = []
        self.averages = start
        self.steps = 0
        self.plateau = keras.callbacks.ReduceLROnPlateau(
            "loss", mode="min", patience=1, min_delta=0.3, factor=0.5, cooldown=2
        )
        # The callback changes the rate of what it takes for an optimizer: here the factor of all rates.
        self.factor = SimpleNamespace(learning_rate=1.0)
        self.plateau.set_model(SimpleNamespace(optimizer=self.factor))
        self.plateau.on_train_begin()

    def run(self, images: np.ndarray, labels: np.ndarray) -> list[float]:
        """Train to the end; return each epoch's loss."""
        losses = []
        for epoch in range(EPOCHS):
            order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([SEED, epoch]))).permutation(EXAMPLES)
            batches = [order[first : first + BATCH] for first in range(0, EXAMPLES, BATCH)]
            losses.append(sum(self.step(images[batch], labels[batch]) for batch in batches) / EXAMPLES)
            if self.case.schedule == "plateau":
                self.plateau.on_epoch_end(epoch, {"loss": losses[-1]})
        return losses

    def step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Take a step; return the sum of the losses of its examples."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            logits = self.model(images.astype(np.float32) / 255, training=True)
            weights = np.array(self.case.weights, np.float32)[labels]
            losses = self.loss(np.eye(CLASSES, dtype=np.float32)[labels], logits, sample_weight=weights)
            total = tf.reduce_mean(losses) + sum(self.model.losses)
        found = tape.gradient(total, [weight.value for weight in self.model.trainable_weights])
        self.sums = [
            new + old for new, old in zip(map(np.asarray, found), self.sums or [0.0] * len(found), strict=True)
        ]
        self.steps += 1
        if self.steps % self.case.accumulate == 0:
            self.change([gradient / self.case.accumulate for gradient in self.sums])
            self.sums = []
        return float(tf.reduce_sum(losses))

    def change(self, gradients: list[np.ndarray]) -> None:
        """Change the weights."""
        norm = np.sqrt(sum(np.sum(gradient.astype(np.float64) ** 2) for gradient in gradients))
        clip = 1.0 if self.case.clip is None else min(1.0, self.case.clip / norm)
        shaped = [(g * clip).astype(np.float32).reshape(v.shape) for g, v in zip(gradients, self.matrices, strict=True)]
        for (optimizer, share), base in zip(self.optimizers, self.bases, strict=True):
            optimizer.learning_rate = self.rate(base)
            optimizer.apply(shaped[share], self.matrices[share])
        for weight, matrix in zip(self.model.trainable_weights, self.matrices, strict=True):
            weight.assign(np.asarray(matrix).reshape(weight.shape))
        if self.case.ema is not None:
            share = self.case.ema if self.steps > 1 else 0.0
            weights = self.model.get_weights()
            self.averages = [share * a + (1 - share) * w for a, w in zip(self.averages, weights, strict=True)]

    def rate(self, base: float) -> float:
        """Return the rate of the step that is being taken."""
        from keras.optimizers.schedules import CosineDecay

        if self.case.schedule != "cosine":
            return base * self.factor.learning_rate
        warmup = 2 * STEPS_PER_EPOCH
        decay = CosineDecay(0.0, EPOCHS * STEPS_PER_EPOCH - warmup, 0.1, warmup_target=base, warmup_steps=warmup)
        # Keras begins at a rate of zero; here the first step counts already.
        step = self.steps - 1
        return float(decay(step + 1 if step < warmup else step))


def compare(case: Case, optimizer: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Train both ways and compare."""
    from cnncli.engine.fast_ops import batch_halves as parts
    from cnncli.engine.fast_ops import row_folding

    monkeypatch.setattr(parts, "number", lambda: case.parts)
    images, labels = examples(case.side)
    trainer = setup_of(config_of(case, optimizer, options), images, labels)
    assert bool(row_folding.foldable(trainer.model)) == (case.side == 16)
    start = trainer.model.get_weights()
    weights, averages, losses = trained(trainer)
    loop = Loop(case, optimizer, options, start)
    np.testing.assert_allclose(losses, loop.run(images, labels), atol=1e-5)
    for ours, theirs, before in zip(weights, loop.model.get_weights(), start, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
        assert np.abs(ours - before).max() > 1e-3
    for ours, theirs in zip(averages, loop.averages if case.ema else weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert (loop.factor.learning_rate < 0.5) == (case.schedule == "plateau")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_end_where_a_loop_with_keras_does(optimizer: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each optimizer with each option: weights, averages and losses of the epochs."""
    compare(CASES[name], optimizer, {"learning_rate": RATES[optimizer]} | OPTIMIZERS[optimizer], monkeypatch)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("RMSprop", {"rho": 0.8, "momentum": 0.5, "centered": True}),
        ("Adagrad", {"initial_accumulator_value": 0.2}),
        ("Adadelta", {"rho": 0.9, "weight_decay": 0.01}),
        ("Lion", {"beta_2": 0.9}),
    ],
)
def test_steps_of_the_other_optimizers(
    optimizer: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are Keras's own classes: names and arguments of the config reach them."""
    rate = {"Adadelta": 1.0, "Adagrad": 0.1}.get(optimizer, 3e-3)
    compare(Case(), optimizer, {"learning_rate": rate} | options, monkeypatch)
