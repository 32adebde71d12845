"""A small picture on a terminal: two pixels in each character."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.console import Console
    from rich.text import Text

WIDTH = 32
"""Most characters in a line of a picture."""
_SHADES = " ░▒▓█"


def picture(pixels: npt.NDArray[np.uint8], console: Console, width: int = WIDTH) -> Text:
    """Return an image as text: in its colours where the console has colours, else in five shades of grey.

    Args:
        pixels: (height, width, 1 or 3), 0 to 255.
        console: Where it will be printed.
        width: Most characters in a line.
    """
    from rich.text import Text

    small = _shrunk(pixels, min(width, console.width))
    if console.color_system is None or console.no_color:
        return Text("\n".join(_shaded_line(upper, lower) for upper, lower in _row_pairs(small)))
    text = Text()
    for upper, lower in _row_pairs(small):
        for over, under in zip(upper, lower, strict=True):
            text.append("▀", style=f"rgb({_triple(over)}) on rgb({_triple(under)})")
        text.append("\n")
    text.rstrip()
    return text


def _shrunk(pixels: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """Return the image at most `width` pixels wide, with an even number of rows."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    columns = min(width, image.width)
    rows = max(1, round(image.height * columns / image.width))
    return np.asarray(image.resize((columns, rows + rows % 2), Image.Resampling.BOX))


def _row_pairs(pixels: npt.NDArray[np.uint8]) -> zip[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    return zip(pixels[::2], pixels[1::2], strict=True)


def _triple(pixel: npt.NDArray[np.uint8]) -> str:
    return ",".join(map(str, pixel.tolist()))


def _shaded_line(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> str:
    """Return the mean of two rows of pixels as characters, white as the fullest."""
    means = (upper.astype(int) + lower).mean(axis=-1) / 2
    return "".join(_SHADES[round(mean / 255 * (len(_SHADES) - 1))] for mean in means.tolist())
