"""Grey values without TensorFlow, against Pillow's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from PIL import Image

from cnncli.serving.preprocessing import to_size


def test_grey_of_colours_that_lie_between_two_greys() -> None:
    """Pillow's grey of every colour of the cube's faces, and of those that lie just between two greys."""
    levels = np.arange(256, dtype=np.int32)
    weighted = 38470 * levels[:, None] + 7471 * levels  # green and blue of ITU-R 601, in units of 1/65536
    between = np.array(
        [(red, *place) for red in range(0, 256, 8) for place in np.argwhere((weighted + 19595 * red) % 65536 == 32768)]
    )
    assert len(between) > 10
    plane = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).reshape(-1, 2)
    faces = [np.insert(plane, axis, value, axis=1) for axis in range(3) for value in (0, 255)]
    colours = np.concatenate([between, *faces]).astype(np.uint8)[None, None]
    about = SimpleNamespace(height=1, width=colours.shape[2], channels=1)
    expected = np.asarray(Image.fromarray(colours[0]).convert("L"))
    assert (to_size(colours, about)[0, ..., 0] == expected).all()
