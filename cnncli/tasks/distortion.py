"""Changes to an image that should not change what it shows, each in growing strength.

All work on uint8 images (images, height, width, channels) and return uint8. Places that no pixel moves to are
filled with the nearest one. Whatever is random follows from the place of the image in its split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, radians
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Floats = npt.NDArray[np.floating[Any]]
    Distort = Callable[[Images, float, int], Images]

SEED = 20_240_229


@dataclass(frozen=True)
class Distortion:
    """One kind of change.

    Attributes:
        name: What it is called.
        unit: What its amounts are.
        amounts: Strengths, beginning with none.
        apply: Changes images by an amount; the last argument is the first image's place in its split.
    """

    name: str
    unit: str
    amounts: tuple[float, ...]
    apply: Distort


def shift(images: Images, amount: float, start: int) -> Images:
    """Move images by a share of their size: right, down, left and up in turn."""
    import numpy as np

    height, width = images.shape[1:3]
    turn = (np.arange(len(images)) + start) % 4
    down = np.array([0, 1, 0, -1], np.float32)[turn] * np.float32(amount * height)
    right = np.array([1, 0, -1, 0], np.float32)[turn] * np.float32(amount * width)
    rows, columns = _centred(height, width)
    return _sampled(images, rows - down[:, None, None], columns - right[:, None, None])


def rotate(images: Images, amount: float, start: int) -> Images:
    """Turn images about their centre by degrees, clockwise and counterclockwise in turn."""
    import numpy as np

    angles = radians(amount) * np.where((np.arange(len(images)) + start) % 2, -1, 1)[:, None, None]
    rows, columns = _centred(*images.shape[1:3])
    cosine, sine = np.cos(angles), np.sin(angles)
    return _sampled(images, cosine * rows - sine * columns, sine * rows + cosine * columns)


def scale(images: Images, amount: float, _: int) -> Images:
    """Enlarge or shrink images about their centre by a factor."""
    rows, columns = _centred(*images.shape[1:3])
    return _sampled(images, rows / amount, columns / amount)


def brighten(images: Images, amount: float, _: int) -> Images:
    """Add a fraction of the range from black to white."""
    return _to_bytes(images + 255 * amount)


def stretch_contrast(images: Images, amount: float, _: int) -> Images:
    """Multiply the distance of each value from the image's mean."""
    import numpy as np

    values = images.astype(np.float32)
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    return _to_bytes(mean + (values - mean) * amount)


def add_noise(images: Images, amount: float, start: int) -> Images:
    """Add normal noise whose deviation is a fraction of the range from black to white."""
    import numpy as np

    noise = np.random.default_rng([SEED, start]).standard_normal(images.shape, np.float32)
    return _to_bytes(images + 255 * amount * noise)


def blur(images: Images, amount: float, _: int) -> Images:
    """Average over neighbours with Gaussian weights whose deviation is a share of the image's height."""
    import numpy as np

    deviation = amount * images.shape[1]
    if deviation == 0:
        return images
    radius = ceil(4 * deviation)
    curve = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2).astype(np.float32)
    curve /= curve.sum()
    values = images.astype(np.float32)
    for axis in (1, 2):
        margins = [(0, 0)] * 4
        margins[axis] = (radius, radius)
        padded, length = np.pad(values, margins, mode="edge"), images.shape[axis]
        parts = (weight * np.take(padded, range(i, i + length), axis) for i, weight in enumerate(curve.tolist()))
        values = sum(parts, np.zeros_like(values))
    return _to_bytes(values)


def occlude(images: Images, amount: float, start: int) -> Images:
    """Cover a square at a random place with grey; its side is a share of the shorter side."""
    import numpy as np

    height, width = images.shape[1:3]
    side = round(amount * min(height, width))
    generator = np.random.default_rng([SEED, start])
    tops = generator.integers(0, height - side + 1, len(images))
    lefts = generator.integers(0, width - side + 1, len(images))
    covered = images.copy()
    for image, top, left in zip(covered, tops, lefts, strict=True):
        image[top : top + side, left : left + side] = 128
    return covered


def _centred(height: int, width: int) -> tuple[Floats, Floats]:
    """Return the row and the column of each pixel, counted from the centre."""
    import numpy as np

    rows = np.arange(height, dtype=np.float32)[None, :, None] - (height - 1) / 2
    columns = np.arange(width, dtype=np.float32)[None, None, :] - (width - 1) / 2
    return rows, columns


def _sampled(images: Images, rows: Floats, columns: Floats) -> Images:
    """Return the pixels at places counted from the centre, interpolated linearly."""
    import numpy as np

    count, height, width, _ = images.shape
    shape = (count, height, width)
    y = np.broadcast_to((rows + (height - 1) / 2).clip(0, height - 1), shape)
    x = np.broadcast_to((columns + (width - 1) / 2).clip(0, width - 1), shape)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (y - top)[..., None].astype(np.float32), (x - left)[..., None].astype(np.float32)
    number = np.arange(count)[:, None, None]
    upper = images[number, top, left] * (1 - across) + images[number, top, right] * across
    lower = images[number, bottom, left] * (1 - across) + images[number, bottom, right] * across
    return _to_bytes(upper * (1 - down) + lower * down)


def _to_bytes(values: Floats) -> Images:
    import numpy as np

    rounded: Images = np.rint(values).clip(0, 255).astype(np.uint8)
    return rounded


DISTORTIONS = (
    Distortion("shift", "fraction of the size", (0, 0.05, 0.1, 0.15, 0.2, 0.3), shift),
    Distortion("rotation", "degrees", (0, 5, 10, 20, 30, 45, 90, 180), rotate),
    Distortion("scale", "factor", (0.5, 0.7, 0.85, 1, 1.15, 1.4, 2), scale),
    Distortion("brightness", "fraction of the range", (-0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5), brighten),
    Distortion("contrast", "factor", (0.1, 0.25, 0.5, 1, 1.5, 2), stretch_contrast),
    Distortion("noise", "deviation, fraction of the range", (0, 0.05, 0.1, 0.2, 0.3, 0.5), add_noise),
    Distortion("blur", "deviation, fraction of the height", (0, 0.02, 0.04, 0.06, 0.1), blur),
    Distortion("occlusion", "side, fraction of the shorter", (0, 0.1, 0.2, 0.3, 0.4, 0.5), occlude),
)
"""What a network should not mind, at least while it is small."""
