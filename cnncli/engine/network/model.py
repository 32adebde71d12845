"""From a config to a Keras model that ends in logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import keras
import numpy as np

from cnncli.config.schema.schema import Config, Group, Train
from cnncli.engine.fast_ops import batch_normalization, convolution
from cnncli.engine.network.own_layers import OWN_LAYERS, fixed_kernel, needs_float32
from cnncli.layers.base import Merge, Shape
from cnncli.layers.convolution import Conv2D, Convolution
from cnncli.layers.graph import INPUT, Node, logits_nodes, sized
from cnncli.layers.kernels import WHITENING
from cnncli.layers.normalization import BatchNormalization
from cnncli.layers.transpose import Conv2DTranspose


def build(config: Config) -> keras.Model:
    """Return the config's network with fresh, seeded weights.

    The model takes float32 images scaled to [0, 1] and returns logits: a softmax at the end of the
    config is left to the loss and to the predictions, where it can be computed without overflow. Of several
    outputs it returns each by its name, as it is.
    """
    nodes, ends = end_nodes(config)
    model = build_network(nodes, config.input_shape, config.seed, ends if len(ends) > 1 else None)
    freeze(config.train, model)
    return model


def end_nodes(config: Config) -> tuple[Sequence[Node], Mapping[str, int]]:
    """Return the nodes of a config's network that ends in logits, and which ones are its outputs, by name."""
    if len(config.outputs) > 1:
        return config.nodes, config.outputs
    nodes = logits_nodes(config.nodes)
    return nodes, {"output": len(nodes) - 1}


def build_network(
    nodes: Sequence[Node], input_shape: Shape, seed: int, outputs: Mapping[str, int] | None = None
) -> keras.Model:
    """Return a functional model with fresh weights that follow from `seed` alone.

    Every random start and every dropout has a seed of its own, from `seed`, the node's index and the argument,
    so that a layer's weights do not depend on what was built before in the process.

    Args:
        nodes: The network, each node after its inputs.
        input_shape: (height, width, channels) of the float32 images, already scaled.
        seed: The config's seed.
        outputs: Node of each output by name, where there are several: the model then returns them by name. Else it
            returns what the last node makes.
    """
    ends = dict(outputs) if outputs and len(outputs) > 1 else {}
    logits = set(ends.values()) or {len(nodes) - 1}
    names = {node.name for node in nodes}
    inputs = keras.Input(shape=input_shape, name=next(n for n in ("input", "image", "_input") if n not in names))
    tensors: list[Any] = []
    for index, node in enumerate(sized(nodes, input_shape)):
        given = [inputs if i == INPUT else tensors[i] for i in node.inputs]
        # Logits of a mixed-precision network are float32: a loss of 8-bit mantissas would be a coarse one.
        dtype = "float32" if index in logits or needs_float32(node.layer) else None
        layer = _keras_layer(node, [seed, index], dtype)
        tensors.append(layer(given if isinstance(node.layer, Merge) else given[0]))
        kernels = node.layer.kernel if isinstance(node.layer, Conv2D) else None
        if kernels is not None and kernels != WHITENING:
            layer.kernel.assign(fixed_kernel(kernels, tuple(layer.kernel.shape)))
    return keras.Model(inputs, {name: tensors[i] for name, i in ends.items()} if ends else tensors[-1])


def _keras_layer(node: Node, entropy: list[int], dtype: str | None) -> Any:
    """Return the Keras layer of a node, by name from our own layers or Keras's."""
    name = node.layer.type_name()
    keras_class = OWN_LAYERS.get(name) or getattr(keras.layers, name)
    arguments = node.layer.keras_arguments()
    seeds = np.random.SeedSequence(entropy).generate_state(max(len(arguments), 2))
    for argument, seed in zip(arguments, seeds.tolist(), strict=False):
        if argument.endswith("_initializer"):
            arguments[argument] = _initializer(arguments[argument], seed)
    if node.layer.is_random_in_training:
        # The second one, however many arguments such a layer gets: older runs are resumed with it.
        arguments["seed"] = int(seeds[1]) >> 1
    layer = keras_class(name=node.name, dtype=dtype, **arguments)
    layer.trainable = node.layer.trainable  # not every Keras layer takes it as an argument
    if isinstance(node.layer, (Convolution, Conv2DTranspose)):
        convolution.replace_call(layer)
    if isinstance(node.layer, BatchNormalization):
        batch_normalization.replace_call(layer)
    return layer


def _initializer(spec: dict[str, Any], seed: int) -> Any:
    """Return a Keras initializer, seeded if it is random."""
    initializer = keras.initializers.get(spec)
    if "seed" not in initializer.get_config():
        return initializer
    return type(initializer)(**spec["config"], seed=seed >> 1)


def freeze(train: Train, model: keras.Model) -> None:
    """Take the layers of groups with `trainable: false` out of training."""
    for layer in model.layers:
        group = group_of(train.groups, layer.name)
        if group is not None and not group.trainable:
            layer.trainable = False


def group_of(groups: Sequence[Group], layer: str) -> Group | None:
    """Return the first group whose pattern a layer's name fits, if any."""
    return next((group for group in groups if fnmatchcase(layer, group.layers)), None)
