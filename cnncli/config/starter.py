"""A config to begin with: the commented starter, or a copy of a network of the zoo."""

from __future__ import annotations

from pathlib import Path

from cnncli.config import zoo
from cnncli.errors import CnnError

_STARTER = Path(__file__).with_name("starter.yaml")


def write(file: Path, source: str | None = None) -> Path:
    """Write a config to a new file and return the file.

    Args:
        file: The file; its folder must be there.
        source: Name of a network of the zoo; the commented starter by default.

    Raises:
        ConfigError: If the zoo has no such network.
        CnnError: If the file is there already or cannot be written.
    """
    origin = _STARTER if source is None else zoo.find(source) or zoo.locate(source)
    text = origin.read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError:
        raise CnnError(f"{file} is there already", "Choose another name; nothing is overwritten.") from None
    except OSError as error:
        raise CnnError(f"{file} cannot be written: {error.strerror}", "Does its folder exist?") from None
    return file
