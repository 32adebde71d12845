"""A config file read as text, whatever is wrong with the file."""

from __future__ import annotations

from pathlib import Path

from cnncli.config.yaml import parser
from cnncli.config.yaml.problems import fail
from cnncli.config.yaml.tree import Origin, Source, Value
from cnncli.files.read import open_file


def read(path: Path, name: str, reference: Origin | None = None) -> Value:
    """Read the values in a file.

    Args:
        path: The file.
        name: What messages call it.
        reference: Where another config names it, if one does.

    Raises:
        ConfigError: If it cannot be read, is too large, or is not UTF-8 or not YAML.
    """
    start = Origin(Source(name, ()), 1, 1)
    try:
        # A config may come through a pipe, `cnn check <(…)`; one that another config names may not.
        with path.open("rb") if reference is None else open_file(path) as file:
            content = file.read(parser.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fail("E001", f"The config {name} cannot be read: {reason}.", reference or start)
    if len(content) > parser.MAX_BYTES:
        fail("E007", f"The file is larger than the limit of {parser.MAX_BYTES:,} bytes.", start)
    return parser.parse(_text(content, name), name)


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        read = Source.of(name, content[: error.start].decode("utf-8-sig", errors="replace"))
        origin = Origin(read, len(read.lines), len(read.lines[-1]) + 1)
        hint = "Save the file as UTF-8."
        fail("E002", f"The byte 0x{content[error.start]:02X} here is not UTF-8 text.", origin, hint)
