"""The config as one object: what every other part of cnncli is handed."""

import re
from operator import le
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, InstanceOf, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from cnncli.config.schema.augmentation import Augmentation, RandomCrop, RandomScale
from cnncli.config.schema.optimizers import Adam, Optimizer
from cnncli.config.schema.schedules import Constant, Schedule
from cnncli.config.schema.tasks import DEFAULT, TASKS, VALIDATION, Monitor, OutputShape, TaskName, TaskSpec
from cnncli.config.yaml.origins import Origins
from cnncli.layers.base import NAME, Spec
from cnncli.layers.graph import Node, shapes
from cnncli.resources import MOST_THREADS

Positive = Annotated[int, Field(ge=1)]
MOST_SHARDS = 1024
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Pixels = Annotated[int, Field(ge=1, le=2**16)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", max_length=100)]


def _not_a_number(name: str) -> str:
    if re.fullmatch(r"[\d.,]+ ?%?", name):
        raise PydanticCustomError("not_a_name", "Input should be the name of a split")
    return name


SplitName = Annotated[str, AfterValidator(_not_a_number)]
"""A name that nobody can have meant as a number."""


class Section(BaseModel):
    """A mapping of the config with a fixed set of keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)


Source = Literal[
    "digits",
    "digit_scenes",
    "mnist",
    "fashion_mnist",
    "cifar10",
    "cifar100",
    "npz",
    "folder",
    "csv",
    "masks",
    "voc",
    "coco",
    "yolo",
    "digit_boxes",
    "tfds",
]
"""Where examples come from."""

MASKED = ("masks", "digit_scenes")
"""Sources with a class for every pixel."""

BOXED = ("voc", "coco", "yolo", "digit_boxes")
"""Sources with boxes of objects."""

Byte = Annotated[int, Field(ge=0, le=255)]
MaskValue = Annotated[int, Field(ge=0, le=65535)] | tuple[Byte, Byte, Byte]
"""What a mask file holds for a class: a number, or red, green and blue."""

_ANNOTATED = ("voc", "coco", "yolo")
"""Sources whose boxes are read from files."""


class Resize(Section):
    """How an image of another size becomes `image_size`."""

    method: Literal["bilinear", "nearest", "bicubic", "area"] = Field(
        default="bilinear", description="Interpolation between pixels."
    )
    fit: Literal["stretch", "crop", "pad"] = Field(
        default="stretch", description="How to handle another aspect ratio: stretch, crop, or pad with black."
    )


class Data(Section):
    """The examples, and how they become arrays."""

    source: Source = Field(
        description="Source of the examples; digits comes with cnncli, and so do digit_scenes (pasted on backgrounds, "
        "with masks) and digit_boxes (with boxes)."
    )
    path: str | None = Field(
        default=None,
        description="The folder, .zip, .npz or .csv file; for a built-in dataset a local copy, to avoid the download.",
    )
    images: str | None = Field(
        default=None,
        description="For masks: folder of the images, with {split} for train, validation and test; null: look for one.",
    )
    masks: str | None = Field(
        default=None,
        description="For masks: folder of the masks, likewise, paired by their names; or a .json of COCO's form.",
    )
    classes: dict[str, MaskValue] | tuple[str, ...] | None = Field(
        default=None,
        description="For masks: value or [r, g, b] of each class, or their names in the order of their values; "
        "null: the lines of classes.txt. For boxes: names of the classes in their order; null: those of the source.",
    )
    ignore: MaskValue | tuple[MaskValue, ...] | None = Field(
        default=None, description="For masks: value or values of pixels that count nowhere; null: none."
    )
    image_size: tuple[Pixels, Pixels] = Field(description="Height and width of the network's input, in pixels.")
    channels: Literal[1, 3] = Field(default=1, description="1 for grey, 3 for red, green and blue.")
    resize: Resize = Field(default=Resize(), description="How an image of another size becomes image_size.")
    validation: Annotated[float, Field(ge=0, lt=1)] | SplitName = Field(
        default=0.1,
        description="Fraction of the training examples held out (stratified, by the seed), or a split's name; not used "
        "with folds.",
    )
    train_on_validation: bool = Field(
        default=False,
        description="Whether the source's own validation split is trained on like its training split; a validation "
        "fraction is then held out of both.",
    )
    test: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None,
        description="Fraction of the examples held out for the test split, where the source has none of its own "
        "(stratified, by the seed; near-duplicates stay together); 0 or null: none.",
    )
    folds: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="Number of folds of the training examples for cross-validation; null: none."
    )
    fold: Positive | None = Field(
        default=None, description="The fold that is the validation split, from 1, as cnn train --fold says it."
    )
    group: str | None = Field(
        default=None,
        description="Files of one person or place stay in one split: a pattern with one (group) for file names, "
        "or a column of the csv; null: none.",
    )
    augmentation: tuple[InstanceOf[Augmentation], ...] = Field(
        default=(), description="Random augmentations of the training images, in this order."
    )
    on_bad_image: Literal["error", "skip"] = Field(
        default="error", description="What to do with an unreadable image: stop with an error, or skip and count it."
    )
    on_bad_box: Literal["error", "skip", "clip"] = Field(
        default="error",
        description="For voc, coco and yolo: what to do with an object whose box is empty or outside the image, or of "
        "an unknown class: stop with an error, skip it, or clip boxes to the image and skip what is empty then.",
    )

    @property
    def has_masks(self) -> bool | None:
        """Whether the source has a class for every pixel; None where only its files tell."""
        return None if self.source == "npz" else self.source in MASKED

    @property
    def has_boxes(self) -> bool:
        """Whether the source has boxes of objects."""
        return self.source in BOXED

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.path is None and self.source in ("npz", "folder", "csv", "masks", *_ANNOTATED, "tfds"):
            raise ValueError(f"The source {self.source} requires a path to the examples.")
        if self.fold is not None and self.fold > (self.folds or 0):
            if self.folds is None:
                raise ValueError(
                    f"There is no fold {self.fold}: data.folds, the number of folds, is not set. Write it into the "
                    "config (data.folds: 5), or add --set data.folds=5."
                )
            raise ValueError(f"There is no fold {self.fold}: data.folds is {self.folds}.")
        self._check_masks()
        self._check_boxes()
        self._check_group()
        for change in self.augmentation:
            if isinstance(change, RandomCrop) and not change.fits(self.image_size):
                height, width = (length + 2 * change.padding for length in self.image_size)
                raise ValueError(f"RandomCrop is larger than the image with its padding, {height}×{width}.")
            if isinstance(change, RandomScale) and change.size and not all(map(le, change.size, self.image_size)):
                part, image = (f"{height}×{width}" for height, width in (change.size, self.image_size))
                raise ValueError(f"RandomScale cuts out {part} pixels of an image of {image}: no more than it has.")
        return self

    @property
    def training_size(self) -> tuple[int, int]:
        """Height and width of what the network learns from: of the images, or of the parts cut out of them."""
        sizes = [change.size for change in self.augmentation if isinstance(change, RandomScale) and change.size]
        return sizes[-1] if sizes else self.image_size

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation split."""
        return self.folds is not None or self.validation != 0

    def _check_masks(self) -> None:
        """Raise ValueError if keys for masks are given without masks, or masks would lose pixels."""
        for key in ("images", "masks", "classes", "ignore"):
            sources = ("masks", "npz") if key in ("classes", "ignore") else ("masks",)
            sources = (*sources, *_ANNOTATED) if key == "classes" else sources
            if getattr(self, key) is not None and self.source not in sources:
                *others, last = sources
                known = f"{', '.join(others)} or {last}" if others else last
                raise ValueError(f"The key {key} is for the source {known}; the source is {self.source}.")
        if (self.images is None) != (self.masks is None):
            raise ValueError("The keys images and masks belong together: give both folders, or neither.")
        if self.source in MASKED and self.resize.fit == "crop":
            raise ValueError("The fit crop would leave pixels without a prediction; use stretch or pad.")

    def _check_boxes(self) -> None:
        """Raise ValueError if keys for boxes are given without boxes, or objects would be cut away."""
        if self.on_bad_box != "error" and self.source not in _ANNOTATED:
            raise ValueError(f"The key on_bad_box is for the source voc, coco or yolo; the source is {self.source}.")
        if not self.has_boxes:
            return
        if isinstance(self.classes, dict):
            raise ValueError("Objects have no values: give the names of the classes as a list, classes: [cat, dog].")
        if self.resize.fit == "crop":
            raise ValueError("The fit crop would cut objects away; use stretch or pad.")

    def _check_group(self) -> None:
        """Raise ValueError if files cannot be grouped so."""
        if self.group is None:
            return
        if self.source not in ("folder", "csv", "masks", *_ANNOTATED):
            raise ValueError(f"The source {self.source} has no file names to group by.")
        if "(" not in self.group and self.source == "csv":
            return
        try:
            groups = re.compile(self.group).groups
        except re.error as error:
            raise ValueError(f"group is not a regular expression: {error}.") from None
        if groups != 1:
            raise ValueError(f"group is a regular expression with one (group); this one has {groups}.")


HeadName = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9_]*$", max_length=100)]
"""A name that is no layer's."""


Nms = Literal["none", "matrix"]


class Model(Section):
    """The network: its layers, and blocks that they use."""

    blocks: dict[Name, Any] = Field(default={}, description="Named lists of layers with parameters, used like a layer.")
    layers: tuple[InstanceOf[Spec], ...] = Field(min_length=1, description="The layers, from the image to the logits.")
    outputs: dict[Name, Annotated[str, Field(pattern=NAME)]] = Field(
        default={},
        description="Outputs by name, each with its layer; without any, the last layer is the output.",
    )
    heads: dict[HeadName, Annotated[tuple[InstanceOf[Spec], ...], Field(min_length=1)]] = Field(
        default={},
        description="Lists of layers that each go on from the last of layers, or from what they name as inputs; the "
        "last layer of each is the output of that name.",
    )
    nms: Nms = Field(
        default="none",
        description="For detection: how boxes of one class that overlap are suppressed, none or matrix: each score is "
        "multiplied by a factor that falls with the overlap (Wang et al., SOLOv2, 2020).",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        both = self.outputs.keys() & self.heads.keys()
        if both:
            raise ValueError(
                f"Every output has a name of its own; outputs and heads both have {', '.join(sorted(both))}."
            )
        return self


class Loss(Section):
    """Sparse categorical cross-entropy, of segmentation over all pixels; of detection, losses of heatmap and boxes."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Label smoothing: fraction of the probability distributed evenly over all classes."
    )
    class_weights: Literal["none", "balanced", "inverse_log"] | dict[str, Annotated[float, Field(gt=0)]] = Field(
        default="none",
        description="Weight of each class: none, balanced (inverse to its frequency), for segmentation also "
        "inverse_log (1 / ln(1.02 + frequency)), or by name.",
    )
    dice: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="For segmentation: share of the Dice loss in the loss."
    )
    boundary: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="For segmentation: share of the cross-entropy of pixels next to another class."
    )
    focal: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="For segmentation: gamma of the focal loss; 0 is plain cross-entropy."
    )
    resolution: Literal["output", "image"] = Field(
        default="output",
        description="For segmentation: compare with the mask in the size of the network's output, or enlarge the "
        "output to the image's size.",
    )
    auxiliary: Annotated[float, Field(ge=0)] = Field(
        default=0.4, description="For segmentation: weight of the loss of each output besides the one named mask."
    )
    box: Literal["giou", "l1"] = Field(
        default="giou",
        description="For detection: loss of a box, giou (1 − generalized IoU) or l1 (mean absolute error of the four "
        "distances in strides).",
    )
    box_weight: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="For detection: weight of the boxes' loss; that of the heatmap's is 1."
    )
    focal_alpha: Annotated[float, Field(ge=0)] = Field(
        default=2.0, description="For detection: exponent of the heatmap's focal loss, of how wrong a score is."
    )
    focal_beta: Annotated[float, Field(ge=0)] = Field(
        default=4.0,
        description="For detection: exponent of the heatmap's focal loss, of how far a cell is from an object's "
        "centre: the larger, the less the cells around it count as background.",
    )

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.dice + self.boundary > 1:
            raise ValueError(f"dice and boundary are shares; together they are {self.dice + self.boundary:g}.")
        return self


class EarlyStopping(Section):
    """Stop when the monitored number has not improved for `patience` epochs."""

    monitor: Monitor = Field(default="validation_accuracy", description="Metric to monitor after every epoch.")
    patience: Positive = Field(default=5, description="Epochs without improvement before the run stops.")
    min_delta: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Smallest change that counts as an improvement."
    )


class Checkpoint(Section):
    """How often the run's state is written, and how many are kept besides the best."""

    every: Literal["epoch"] | dict[Literal["epochs", "steps", "minutes"], Positive] = Field(
        default="epoch", description="epoch, or {epochs: N}, {steps: N}, {minutes: N}."
    )
    keep: Annotated[int, Field(ge=2)] = Field(default=2, description="Number of checkpoints to keep besides the best.")


class Group(Section):
    """Layers that are trained differently from the rest."""

    layers: str = Field(min_length=1, description="Pattern of layer names; * matches anything.")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Base learning rate; null: the optimizer's."
    )
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="Weight decay; null: the optimizer's."
    )
    trainable: bool = Field(default=True, description="Whether the weights are trainable.")


IMAGENET = "imagenet"
"""What `weights` says for the weights that Keras publishes."""


class StartFrom(Section):
    """A run, or a file, from whose weights this one starts."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["run"]}, {"required": ["weights"]}]})

    run: str | None = Field(default=None, min_length=1, description="A run's path or name, or latest.")
    weights: str | None = Field(
        default=None,
        min_length=1,
        description="imagenet: the weights that Keras publishes for the network, downloaded once; or the path of one.",
    )
    layers: str = Field(
        default="*", min_length=1, description="Pattern of the names of layers to take; * matches anything."
    )

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.run is None) == (self.weights is None):
            raise PydanticCustomError("start", "expected either run or weights")
        return self


def _power_of_two(number: int) -> int:
    if number & (number - 1):
        raise PydanticCustomError("power_of_two", "expected a power of two: 1, 2, 4, 8, …")
    return number


PowerOfTwo = Annotated[
    int,
    Field(ge=1, le=MOST_SHARDS),
    AfterValidator(_power_of_two),
    WithJsonSchema({"type": "integer", "enum": [2**i for i in range(MOST_SHARDS.bit_length())]}),
]


class Train(Section):
    """How to train the weights."""

    epochs: Positive = Field(default=10, description="Number of passes over the training examples.")
    batch_size: Positive = Field(default=128, description="Examples in one step.")
    shards: PowerOfTwo = Field(
        default=1,
        description="Parts of a batch with gradients of their own, added up in one order by any number of workers.",
    )
    accumulate: Positive = Field(
        default=1, description="Gradient accumulation: steps whose gradients are averaged into one update."
    )
    optimizer: InstanceOf[Optimizer] = Field(default=Adam(), description="Optimizer.")
    schedule: InstanceOf[Schedule] = Field(default=Constant(), description="Learning rate schedule.")
    loss: Loss = Field(default=Loss(), description="Options of the cross-entropy loss.")
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="Data type of the layers' computations; weights stay float32."
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Decay of the exponential moving average of weights for evaluation; null: none."
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Largest global norm of the gradients; null: no limit."
    )
    groups: tuple[Group, ...] = Field(
        default=(), description="Layers with their own learning rate; the first match applies."
    )
    start_from: StartFrom | None = Field(default=None, description="A run, or a file of weights, to start from.")
    early_stopping: EarlyStopping | None = Field(default=None, description="When to stop before the last epoch.")
    max_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Time limit after which the run stops with a checkpoint; null: none."
    )
    checkpoint: Checkpoint = Field(default=Checkpoint(), description="How often to write a checkpoint.")
    replay: bool = Field(
        default=False,
        description="Record the filters after every epoch, for the replay in the report; "
        "up to a million weights, all of them, for cnn explore.",
    )
    keep_proof: bool = Field(
        default=True, description="Keep up to 64 examples in the run, so that it can be exported without its data."
    )
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] | None = Field(
        default=None, description="Number of CPU threads; null: all."
    )


class Document(Section):
    """The keys at the top of a config file."""

    extends: str | None = Field(default=None, description="A config that this one extends: a relative path, or a name.")
    values: dict[str, Any] | None = Field(default=None, description="Values to reuse, as ${values.name}.")
    name: Name = Field(description="Name of the experiment: its runs are stored under it.")
    task: TaskName = Field(default=DEFAULT, description="What the network is trained for.")
    seed: Seed = Field(default=0, description="Seed of everything random.")
    data: InstanceOf[Data] = Field(description="The examples, and how they become arrays.")
    model: InstanceOf[Model] = Field(description="The network.")
    train: InstanceOf[Train] = Field(default=Train(), description="How to train the weights.")


class Config(Section):
    """A whole experiment.

    Attributes:
        nodes: The network, blocks and composites expanded, in the order in which it is computed.
        outputs: Index of the node of each named output; empty where the last node is the only output.
        nms: How a detector suppresses boxes that overlap.
        document: The resolved config as plain data: what `config.yaml` of a run holds.
        origins: Where every value was written.
    """

    name: Name
    task: TaskName = DEFAULT
    seed: Seed = 0
    data: Data
    nodes: tuple[InstanceOf[Node], ...]
    outputs: dict[str, int] = {}
    nms: Nms = "none"
    train: Train = Train()
    document: dict[str, Any] = Field(repr=False)
    origins: InstanceOf[Origins] = Field(repr=False)

    @property
    def task_spec(self) -> TaskSpec:
        """What the task says of itself."""
        return TASKS[self.task]

    @property
    def monitor(self) -> str:
        """The metric that chooses the best epoch: early stopping's, else the task's primary one."""
        if self.train.early_stopping is not None:
            return self.train.early_stopping.monitor
        return VALIDATION + self.task_spec.primary.name

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image: height, width, channels."""
        return (*self.data.image_size, self.data.channels)

    @property
    def output_shape(self) -> OutputShape:
        """Shape of what the network returns for one image; of several outputs, each by its name."""
        found = shapes(self.nodes, self.input_shape)
        if len(self.outputs) > 1:
            return {name: found[index] for name, index in self.outputs.items()}
        return found[-1]

    def output_path(self, name: str | None) -> str:
        """Return where the config describes the output of that name; without one, where it describes several."""
        if name is None:
            return "model.outputs" if self.origins.get("model.outputs") is not None else "model.heads"
        head = f"model.heads.{name}"
        return f"model.outputs.{name}" if self.origins.get(head) is None else head

    @property
    def output_nodes(self) -> tuple[int, ...]:
        """Indices of the nodes whose outputs are the network's."""
        return tuple(self.outputs.values()) or (len(self.nodes) - 1,)
