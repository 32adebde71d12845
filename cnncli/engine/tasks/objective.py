"""What a task adds to a training step: its targets as tensors, its loss, and the sums that its metrics come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import tensorflow as tf

from cnncli.config.schema.augmentation import Augmentation
from cnncli.config.schema.schema import Config
from cnncli.datasets.splits import Splits
from cnncli.engine.input_pipeline.augmentation.mixing import Mixed
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

Sums = Mapping[str, tf.Tensor]
"""Numbers that add up over batches, devices and workers, by name."""


class Objective(ABC):
    """What a network is trained for, in TensorFlow. Everything here may become part of the step's graph.

    Attributes:
        target_spec: Shape and type of a batch's targets as `Targets.fit` makes them, batch axis first.
        sum_specs: Shapes and types of what `sums` returns, by name.
    """

    target_spec: tf.TensorSpec
    sum_specs: Mapping[str, tf.TensorSpec]

    @abstractmethod
    def loss(self, targets: tf.Tensor, outputs: Any) -> tf.Tensor:
        """Return the loss of each example: float32 (batch,).

        Args:
            targets: As `target_spec` says, or what `transform` and `mix` made of them.
            outputs: What the network ends in, any float type: a tensor, or a dictionary where the outputs have names.
        """

    @abstractmethod
    def sums(self, targets: tf.Tensor, outputs: Any) -> Sums:
        """Return what a batch adds to the epoch's sums.

        Args:
            targets: As `target_spec` says: moved with the images, and mixed where that leaves targets of this kind.
            outputs: What the network ends in.
        """

    @abstractmethod
    def means(self, sums: Mapping[str, Any], num_examples: int) -> dict[str, float]:
        """Return the metrics besides the loss of an epoch, from its sums."""

    @abstractmethod
    def outputs(self, logits: Any) -> dict[str, tf.Tensor]:
        """Return what an exported network returns, by name, from what the network ends in."""

    def output_layers(self) -> Mapping[str, Callable[..., Callable[[Any], Any]]]:
        """Return for each of `outputs` what makes its Keras layer, given `name`; the layer is called with the logits.

        A `.keras` file holds only Keras's own layers, and models of its operations. Empty where these cannot compute
        the outputs.
        """
        return {}

    def transform(
        self,
        change: Augmentation,  # noqa: ARG002 - for tasks whose targets have places
        draws: Draws,  # noqa: ARG002
        targets: tf.Tensor,
        size: tuple[int, int],  # noqa: ARG002
    ) -> tf.Tensor:
        """Return targets moved as an augmentation moves the images, with the same draws; by default unchanged.

        Args:
            change: The change.
            draws: The same that move the images, from their beginning.
            targets: As `target_spec` says, or moved before.
            size: Height and width of the images before the change.
        """
        return targets

    def mix(self, targets: tf.Tensor, mixed: Mixed) -> tf.Tensor:
        """Return targets mixed as their images were.

        Raises:
            CnnError: If such targets cannot be mixed.
        """
        raise NotImplementedError

    def undo(self, view: Any, outputs: Any) -> Any:  # noqa: ARG002 - for tasks whose outputs have places
        """Return a network's outputs for a view as if for the images themselves; by default unchanged."""
        return outputs

    def to_image_size(self, outputs: Any) -> Any:
        """Return a network's outputs for images of another size as places of the images that it reads.

        Raises:
            NotImplementedError: If the outputs have no places.
        """
        raise NotImplementedError


OBJECTIVES: dict[str, str | Callable[[Config, Splits | None], Objective]] = {
    "classification": "cnncli.engine.tasks.classification:CrossEntropy.of",
    "segmentation": "cnncli.engine.tasks.segmentation:PixelCrossEntropy.of",
    "detection": "cnncli.engine.tasks.detection:CenterHeatmap.of",
}
"""By task: what makes its objective from a config and the examples, if there are any; or where to import it from."""


def make_objective(config: Config, splits: Splits | None = None) -> Objective:
    """Return the objective of a config's task.

    Args:
        config: The experiment.
        splits: Its examples, by which some losses weight the classes; None where nothing is trained.

    Raises:
        DataError: If the config asks for what the examples do not have.
    """
    maker = OBJECTIVES[config.task]
    if isinstance(maker, str):
        module, _, path = maker.partition(":")
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        maker = found
    made: Objective = maker(config, splits)
    return made
