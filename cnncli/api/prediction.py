"""A run's network asked about images."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cnncli.errors import CnnError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cnncli.api.surroundings import Surroundings
    from cnncli.datasets.pictures import Picture
    from cnncli.runs.run import Run
    from cnncli.serving.predict import Network

Images: TypeAlias = "str | Path | Sequence[str | Path] | npt.NDArray[np.uint8]"
"""Image files and folders of them, or pixels: uint8 (number, height, width, channels), or without the last axis."""


def load_network(run: Run, checkpoint: str, around: Surroundings, *, tiles: bool = False) -> Network:
    """Return what answers for a run's network.

    Args:
        run: The run.
        checkpoint: best, last, or a checkpoint's path.
        around: What hears of it.
        tiles: Whether images are computed at their own size, in overlapping tiles; for segmentation.

    Raises:
        CnnError: If the checkpoint is missing or damaged.
    """
    with around.importing():
        from cnncli.engine.evaluation.predict import RunNetwork
        from cnncli.engine.evaluation.tiles import TiledNetwork
        from cnncli.engine.evaluation.trained import load_trained
    with around.doing(f"loading {run.path}"):
        trained = load_trained(run, checkpoint)
        return TiledNetwork(trained) if tiles else RunNetwork(trained)


def pictures_of(images: Images) -> Iterable[Picture]:
    """Return images as predictions take them.

    Raises:
        CnnError: If a path leads to nothing, or the pixels have another type or shape.
    """
    from cnncli.datasets.pictures import pictures

    if isinstance(images, str | Path):
        return pictures([str(images)])
    if isinstance(images, Sequence):
        return pictures([str(path) for path in images])
    return _encoded(images)


def _encoded(pixels: npt.NDArray[np.uint8]) -> Iterator[Picture]:
    """Yield pixels as PNG files, which lose nothing."""
    import numpy as np
    from PIL import Image

    from cnncli.datasets.pictures import Picture

    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[-1] not in (1, 3)):
        raise CnnError(
            f"the images are {pixels.dtype} {pixels.shape}",
            "Give uint8 (number, height, width, channels) with 1 or 3 channels, or (number, height, width).",
        )
    for number, image in enumerate(pixels):
        content = io.BytesIO()
        Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image).save(content, "PNG")
        yield Picture(f"image {number}", content.getvalue())
