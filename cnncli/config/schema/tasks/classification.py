"""Classification: one class an image."""

from collections.abc import Mapping

from cnncli.config.schema.tasks.spec import Metric, OutputProblem, OutputShape, TaskSpec
from cnncli.layers.base import Shape


class Classification(TaskSpec):
    """Every image is of one class: the network ends in one logit per class."""

    metrics = (Metric("loss", False), Metric("accuracy", True, primary=True))
    output_names = ("probabilities",)

    def check_output(
        self,
        shape: OutputShape,
        num_classes: int | None,
        image_size: tuple[int, int],  # noqa: ARG002 - of no matter where the plane is gone
    ) -> OutputProblem | None:
        """Return why the output is not one number per class, or None if it is."""
        if isinstance(shape, Mapping):
            names = list(shape)
            return OutputProblem(
                f"The network has {len(names)} outputs ({', '.join(names[:4])}{', …' if names[4:] else ''}); "
                "a classifier has one, the logits.",
                "Leave out model.outputs, and end with the layer that returns one number per class.",
                code="E304",
            )
        if len(shape) != 1:
            return OutputProblem(
                f"The network ends in {'×'.join(map(str, shape))} values; a classifier ends in one number per class.",
                "End with Flatten or GlobalAveragePooling2D, and a Dense layer with one unit per class.",
            )
        if num_classes is not None and shape[0] != num_classes:
            return OutputProblem(
                f"The network ends in {shape[0]:,} outputs; the data has {num_classes:,} classes.",
                f"Give the last layer {num_classes} outputs: one logit per class.",
            )
        if shape[0] == 1:
            return OutputProblem(
                "The network has a single output; it needs one per class, so two for two classes.",
                "Give the last layer as many outputs as there are classes.",
                is_fatal=False,
            )
        return None

    def check_answer(self, shapes: Mapping[str, Shape], num_images: int, num_classes: int) -> str | None:
        """Return what is wrong with an answer that is not a probability for each image and class, or None."""
        problem = super().check_answer(shapes, num_images, num_classes)
        if problem is not None:
            return problem
        # A network that an older version trained may have outputs to spare.
        shape = shapes["probabilities"]
        if len(shape) != 2 or shape[1] < max(num_classes, 1):
            return f"its probabilities have the shape {shape}, expected {(num_images, num_classes)}"
        return None
