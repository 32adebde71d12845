"""Segmentation: one class a pixel."""

from collections.abc import Mapping

from cnncli.config.schema.tasks.spec import Metric, OutputProblem, OutputShape, TaskSpec
from cnncli.layers.base import Shape

MASK = "mask"
"""Of several outputs, the one that is the prediction; the others only help training."""


class Segmentation(TaskSpec):
    """Every pixel is of one class: the network ends in one logit per class for each place of a plane."""

    metrics = (Metric("loss", False), Metric("mean_iou", True, primary=True), Metric("pixel_accuracy", True))
    output_names = ("mask", "probabilities")
    main_output = MASK
    reads_masks = True
    has_places = True

    def check_output(
        self, shape: OutputShape, num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why the output is not a plane with one number per class, or None if it is."""
        if isinstance(shape, Mapping):
            if MASK not in shape:
                return OutputProblem(
                    f"The network has the outputs {', '.join(shape)}; none is called {MASK}.",
                    f"Name the output that is the prediction {MASK}; the others only help training.",
                    code="E304",
                )
            return self._check_outputs(shape, num_classes, image_size)
        return self._check_plane("The network", shape, num_classes, image_size)

    def _check_outputs(
        self, shapes: Mapping[str, Shape], num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why one of several outputs is no such plane: all are compared with the same masks."""
        for name, shape in shapes.items():
            problem = self._check_plane(f"The output {name}", shape, num_classes, image_size)
            if problem is not None:
                return problem._replace(output=name)
        channels = shapes[MASK][-1]
        for name, shape in shapes.items():
            if shape[-1] != channels:
                return OutputProblem(
                    f"The output {name} ends in {shape[-1]:,} channels, {MASK} in {channels:,}: both are compared with "
                    "the same masks.",
                    "Give each output one filter per class.",
                    output=name,
                )
        return None

    def _check_plane(
        self, what: str, shape: Shape, num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why an output, called `what`, is not a plane with one number per class."""
        if len(shape) != 3:
            return OutputProblem(
                f"{what} ends in {'×'.join(map(str, shape))} values; segmentation ends in a plane with one number "
                "per class, height×width×classes.",
                "Leave out Flatten, Dense and global pooling, and end with Conv2D: {filters: CLASSES, kernel_size: 1}.",
            )
        if num_classes is not None and shape[-1] != num_classes:
            one_more = " What data.ignore names is not a class: it has no logit." * (shape[-1] == num_classes + 1)
            return OutputProblem(
                f"{what} ends in {shape[-1]:,} channels; the data has {num_classes:,} classes.",
                f"Give the last layer {num_classes} filters: one logit per class.{one_more}",
            )
        if shape[0] > image_size[0] or shape[1] > image_size[1]:
            return OutputProblem(
                f"{what} ends in a plane of {shape[0]}×{shape[1]}, larger than the image, "
                f"{image_size[0]}×{image_size[1]}.",
                "Enlarge less: the output may be as large as the image, or smaller.",
            )
        if shape[-1] == 1:
            return OutputProblem(
                f"{what} ends in a single channel; it needs one per class, so two for two classes.",
                "Give the last layer as many filters as there are classes; the background is one of them.",
                is_fatal=False,
            )
        return None

    def check_answer(self, shapes: Mapping[str, Shape], num_images: int, num_classes: int) -> str | None:
        """Return what is wrong with an answer that is not a class and probabilities for each pixel, or None."""
        problem = super().check_answer(shapes, num_images, num_classes)
        if problem is not None:
            return problem
        mask, probabilities = shapes["mask"], shapes["probabilities"]
        if len(mask) != 3 or probabilities != (*mask, num_classes):
            return f"its mask has the shape {mask}, its probabilities {probabilities}, for {num_classes} classes"
        return None
