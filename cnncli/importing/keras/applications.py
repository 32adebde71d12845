"""The networks of Keras Applications that the zoo has too, and where their weights lie in Keras's files.

Keras's files keep arrays in the order of `model.layers`, without what a layer is: so they are found by that order, and
every one of them must have the shape that its layer needs. The published files, and their MD5 where Keras gives one,
are those of keras.src.applications (Keras 3.15).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cnncli.config.load import load
from cnncli.config.schema.schema import Config
from cnncli.layers.base import Merge, Weight
from cnncli.layers.dense import Dense
from cnncli.layers.graph import Node, input_shapes, shapes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_SUFFIX = "weights_tf_dim_ordering_tf_kernels"

LEAST_LAYERS = 10
"""Layers with weights that a network must share with one of Keras's to be taken for it."""

STANDARD_DEVIATIONS = (0.229, 0.224, 0.225)
"""ImageNet's, in Keras's EfficientNet."""


@dataclass(frozen=True)
class WeightFile:
    """A published file.

    Attributes:
        url: Where it is.
        md5: Its MD5 in hexadecimal; None where Keras publishes none.
    """

    url: str
    md5: str | None

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Application:
    """A network of Keras Applications.

    Attributes:
        name: Keras's name.
        network: Its name in the zoo.
        whole: The published weights with the 1,000 classes of ImageNet.
        without_top: Those without the last layer.
        is_bgr: Whether its first kernel reads blue, green, red.
    """

    name: str
    network: str
    whole: WeightFile
    without_top: WeightFile
    is_bgr: bool = False

    @property
    def config(self) -> Config:
        """The zoo's config of it."""
        return _config(self.network)

    @property
    def top(self) -> str:
        """The zoo's name of the layer of classes."""
        return next(node.name for node in reversed(self.config.nodes) if isinstance(node.layer, Dense))

    def adapted(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return its arrays as our network needs them, by "layer/weight" of the zoo's network.

        A first kernel that reads BGR is turned round, as our images are RGB. The statistics of EfficientNet's
        `Normalization` hold standard deviations where variances belong: Keras divides by their root twice, with a
        further layer that it has only with these weights; here their squares are the variances.
        """
        import numpy as np

        adapted = dict(arrays)
        if self.is_bgr:
            first = next(name for name in adapted if name.endswith("/kernel"))
            adapted[first] = np.ascontiguousarray(adapted[first][:, :, ::-1])
        for name, array in arrays.items():
            if name.endswith("/variance") and np.allclose(array.ravel(), STANDARD_DEVIATIONS, atol=1e-4):
                adapted[name] = array**2
        return adapted


APPLICATIONS = (
    Application(
        "MobileNetV2",
        "mobilenet_v2",
        WeightFile(f"{_KERAS}/mobilenet_v2/mobilenet_v2_{_SUFFIX}_1.0_224.h5", None),
        WeightFile(f"{_KERAS}/mobilenet_v2/mobilenet_v2_{_SUFFIX}_1.0_224_no_top.h5", None),
    ),
    Application(
        "EfficientNetB0",
        "efficientnet_b0",
        WeightFile(
            "https://storage.googleapis.com/keras-applications/efficientnetb0.h5", "902e53a9f72be733fc0bcb005b3ebbac"
        ),
        WeightFile(
            "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
            "50bc09e76180e00e4465e1a485ddc09d",
        ),
    ),
    Application(
        "ResNet50",
        "resnet50_keras",
        WeightFile(f"{_KERAS}/resnet/resnet50_{_SUFFIX}.h5", "2cb95161c43110f7111970584f804107"),
        WeightFile(f"{_KERAS}/resnet/resnet50_{_SUFFIX}_notop.h5", "4d473c1dd8becc155b73f8504c6f6626"),
        is_bgr=True,
    ),
    Application(
        "DenseNet121",
        "densenet121",
        WeightFile(f"{_KERAS}/densenet/densenet121_{_SUFFIX}.h5", "9d60b8095a5708f2dcce2bca79d332c7"),
        WeightFile(f"{_KERAS}/densenet/densenet121_{_SUFFIX}_notop.h5", "30ee3e1110167f948a6b9946edeeb738"),
    ),
)
"""In the order in which they are listed to users."""


@dataclass(frozen=True)
class Backbone:
    """A network of Keras Applications within a config.

    Attributes:
        application: Which one.
        layers: Names of its layers with weights, to those of the config's, in the config's order.
        has_top: Whether the layer of classes is among them.
    """

    application: Application
    layers: Mapping[str, str]
    has_top: bool

    @property
    def file(self) -> WeightFile:
        """The published file that holds its weights."""
        return self.application.whole if self.has_top else self.application.without_top


def backbone(config: Config) -> Backbone | None:
    """Return the network that a config begins with, the one that it shares most layers with; None without any.

    Layers are compared by class and by the shapes of their weights, from the first one on.
    """
    own = weights_of(config)
    found = [_shared(application, own) for application in APPLICATIONS]
    best = max(found, key=lambda each: len(each.layers))
    return best if len(best.layers) >= LEAST_LAYERS else None


def in_keras_order(config: Config) -> list[Node]:
    """Return a network's layers in the order of Keras's `model.layers`: those further from the output first.

    Where two are equally far, Keras's own order is that in which a search back from the output meets them; of the
    networks here only ResNet has such, and there the shortcut, which we name last, is first.
    """
    nodes = config.nodes
    distance = [0] * len(nodes)
    for index in range(len(nodes) - 1, -1, -1):
        for source in nodes[index].inputs:
            if source >= 0:
                distance[source] = max(distance[source], distance[index] + 1)
    return [nodes[i] for i in sorted(range(len(nodes)), key=lambda i: (-distance[i], -i))]


def weights_of(config: Config) -> dict[str, tuple[Weight, ...]]:
    """Return the weights of the layers that have any, by name and in the config's order."""
    outputs = shapes(config.nodes, config.input_shape)
    found = {}
    for node in config.nodes:
        if not isinstance(node.layer, Merge):
            weights = tuple(node.layer.weights(input_shapes(node, outputs, config.input_shape)[0]))
            if weights:
                found[node.name] = weights
    return found


def _shared(application: Application, own: Mapping[str, Sequence[Weight]]) -> Backbone:
    """Return how far a config begins as a network does."""
    theirs = weights_of(application.config)
    layers: dict[str, str] = {}
    for (name, wanted), (layer, found) in zip(theirs.items(), own.items(), strict=False):
        if _form(wanted) != _form(found):
            break
        layers[name] = layer
    return Backbone(application, layers, application.top in layers)


def _form(weights: Sequence[Weight]) -> list[tuple[str, tuple[int, ...]]]:
    return [(weight.name, tuple(weight.shape)) for weight in weights]


@cache
def _config(network: str) -> Config:
    return load(network)
