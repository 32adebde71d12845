"""The config as one object: what every other part of cnncli is handed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from cnncli.config.optimizers import Adam, Optimizer
from cnncli.config.schedules import Constant, Schedule
from cnncli.layers.base import Spec
from cnncli.layers.graph import Node


class Section(BaseModel):
    """A mapping of the config with a fixed set of keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Resize(Section):
    """How an image of another size becomes `image_size`."""

    method: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    fit: Literal["stretch", "crop", "pad"] = "stretch"


class Data(Section):
    """What the examples are and how they become arrays."""

    source: Literal["digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "npz", "folder", "csv", "tfds"]
    path: str | None = None
    image_size: tuple[int, int]
    channels: Literal[1, 3] = 1
    resize: Resize = Resize()
    validation: float | str = 0.1
    augmentation: tuple[InstanceOf[Spec], ...] = ()
    on_bad_image: Literal["error", "skip"] = "error"


class Loss(Section):
    """Sparse categorical cross-entropy and its adjustments."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"


class EarlyStopping(Section):
    """Stop when the monitored number has not improved for `patience` epochs."""

    monitor: str = "validation_accuracy"
    patience: Annotated[int, Field(ge=1)] = 5
    min_delta: Annotated[float, Field(ge=0)] = 0.0


class Checkpoint(Section):
    """How often the run's state is written, and how many are kept besides the best."""

    every: Literal["epoch"] | dict[Literal["epochs", "steps", "minutes"], int] = "epoch"
    keep: Annotated[int, Field(ge=2)] = 2


class Train(Section):
    """How the weights are learned."""

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 128
    optimizer: InstanceOf[Optimizer] = Adam()
    schedule: InstanceOf[Schedule] = Constant()
    loss: Loss = Loss()
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    early_stopping: EarlyStopping | None = None
    checkpoint: Checkpoint = Checkpoint()
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"


class Config(Section):
    """A whole experiment.

    Attributes:
        nodes: The network, blocks and composites expanded, in the order in which it is computed.
        document: The resolved config as plain data: what `config.yaml` of a run holds.
    """

    name: str
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    data: Data
    nodes: tuple[InstanceOf[Node], ...]
    train: Train = Train()
    document: dict[str, Any] = Field(repr=False)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image: height, width, channels."""
        return (*self.data.image_size, self.data.channels)
