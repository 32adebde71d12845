"""`Config` → YAML text: what a run's config.yaml holds, and what `cnn check --resolved` prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from cnncli.config.document import complete
from cnncli.config.language import references
from cnncli.config.schema.schema import Config
from cnncli.config.yaml import paths, scalars
from cnncli.layers.graph import Node
from cnncli.layers.named import written

WIDTH = 110
MARGIN = 56
"""Column behind which comments stand."""
_PLAIN = re.compile(r"[A-Za-z0-9_./$][A-Za-z0-9_./$ +\-]*")
Comment = Callable[[str], str]
"""From a value's path to what stands behind it as a comment."""


def dump(config: Config) -> str:
    """Return the resolved config as YAML; loading it gives an equal config."""
    return dump_document(config.document)


def resolved(config: Config) -> str:
    """Return the config with the defaults of every layer as well, and each value's origin as a comment."""
    return dump_document(with_defaults(config), config.origins.describe)


def with_defaults(config: Config) -> dict[str, Any]:
    """Return the document of a config with the defaults of every layer as well."""
    model = config.document["model"]
    completed = {**model, **{key: complete(model[key]) for key in ("blocks", "layers", "heads") if key in model}}
    for name, index in config.outputs.items():
        if config.task_spec.initial_bias(name) is not None:
            _tell_initial_bias(completed, config.nodes[index])
    return {**config.document, "model": completed}


def _tell_initial_bias(model: dict[str, Any], node: Node) -> None:
    """Replace the default of a layer whose bias begins as its task has it.

    A block may be used elsewhere too, with the default: there it is left out.
    """
    value: Any = {"model": model}
    blocks, in_block = model.get("blocks") or {}, False
    steps = paths.parse(node.path) or ()
    for step, after in zip(steps, (*steps[1:], None), strict=True):
        if step in blocks and after == "layers":
            value, in_block = blocks[step], True
        elif not isinstance(value, str):  # else a block's parameter
            value = value[step]
    start = getattr(node.layer, "bias_initializer", None)
    if start is None or isinstance(value, str):
        return
    if not in_block:
        value["bias_initializer"] = written(start)
    elif value["bias_initializer"] != written(start):
        del value["bias_initializer"]


def dump_document(document: dict[str, Any], comment: Comment | None = None) -> str:
    """Return plain data as YAML that our reader reads back.

    Args:
        document: Mappings, lists and scalars.
        comment: Says what to write behind each value; with it every value has its own line.
    """
    return "".join(f"{line}\n" for line in _Writer(comment).mapping(document, "", 0))


def scalar(value: Any) -> str:
    """Return a scalar as YAML; a text in quotes where it could be read as anything else."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(references.escape(value))
    return repr(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and not text.endswith(" ") and not text.startswith("---"):
        try:
            if isinstance(scalars.read(text), str):
                return text
        except scalars.NumberError:
            pass
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def flow(value: Any) -> str:
    """Return a value on one line, with brackets and braces."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


class _Writer:
    """Lines of YAML: sections and lists of layers one below the other, arguments on one line where they fit."""

    def __init__(self, comment: Comment | None) -> None:
        self.comment = comment

    def mapping(self, mapping: dict[str, Any], path: str, indent: int) -> Iterator[str]:
        for key, value in mapping.items():
            inner = f"{path}.{key}".removeprefix(".")
            yield from self.entry(f"{' ' * indent}{_text(key)}:", value, inner, indent + 2)

    def entry(self, start: str, value: Any, path: str, indent: int) -> Iterator[str]:
        """Write a key or a dash, and the value behind or below it."""
        if self.fits(start, value, indent):
            line = f"{start} {flow(value)}"
            yield f"{line:<{MARGIN}}  # {self.comment(path)}" if self.comment else line
        else:
            yield start
            yield from self.below(value, path, indent)

    def below(self, value: Any, path: str, indent: int) -> Iterator[str]:
        if isinstance(value, dict):
            yield from self.mapping(value, path, indent)
            return
        for index, item in enumerate(value):
            yield from self.item(item, f"{path}[{index}]", indent)

    def item(self, item: Any, path: str, indent: int) -> Iterator[str]:
        """Write a list's item; a mapping or list begins behind the dash."""
        if not isinstance(item, (dict, list)) or not item:
            yield from self.entry(f"{' ' * indent}-", item, path, indent + 2)
            return
        lines = list(self.below(item, path, indent + 2))
        yield f"{' ' * indent}- {lines[0].lstrip()}"
        yield from lines[1:]

    def fits(self, start: str, value: Any, indent: int) -> bool:
        """Say whether a value goes on its key's line."""
        if not isinstance(value, (dict, list)) or not value:
            return True
        parts = value if isinstance(value, list) else list(value.values())
        if isinstance(value, list):
            one_line = not any(isinstance(part, (dict, str)) for part in parts) or not self.comment
            one_line = one_line and not any(isinstance(part, dict) for part in parts) and not _holds_layers(value)
        else:
            one_line = self.comment is None and indent > 2 and not _holds_layers(value)
        return one_line and len(start) + 1 + len(flow(value)) <= WIDTH


def _holds_layers(value: Any) -> bool:
    """Say whether a list with mappings in it is somewhere inside."""
    if isinstance(value, dict):
        return any(_holds_layers(item) for item in value.values())
    if isinstance(value, list):
        return any(isinstance(item, dict) or _holds_layers(item) for item in value)
    return False
