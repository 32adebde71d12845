"""Where every value of a config came from: a line of a file, `--set`, or a default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cnncli.config.yaml import paths
from cnncli.config.yaml.problems import problem
from cnncli.config.yaml.tree import Mapping, Origin, Scalar, Value
from cnncli.errors import Problem


@dataclass(frozen=True)
class Origins:
    """Look up origins by path; two configs are equal wherever their values were written.

    A path through a block's use, "model.layers[3].conv_bn.layers[0].Conv2D.filters", leads to the block's
    definition, and from a `$parameter` there back to the use.

    Attributes:
        tree: The config as read.
        trained_in: Folders that a run's config was read and trained in, wherever the run is now.
    """

    tree: Value = field(compare=False, repr=False)
    trained_in: tuple[Path, ...] = field(default=(), compare=False)

    def get(self, path: str) -> Origin | None:
        """Return where the value at `path` was written, or None for a default."""
        origin, complete = self._walk(path)
        return origin if complete else None

    def nearest(self, path: str) -> Origin:
        """Return where the value at `path`, or the innermost one around it, was written."""
        return self._walk(path)[0]

    def describe(self, path: str) -> str:
        """Return the origin in words: "default", "lenet.yaml:14" or "--set"."""
        origin = self.get(path)
        return str(origin) if origin else "default"

    def folders(self, path: str) -> tuple[Path, ...]:
        """Return where a relative path that is the value at `path` may be meant from, after the working folder.

        That is the folder of the file that holds the value, then the folders that the run was trained in.
        """
        origin = self.get(path)
        beside = () if origin is None or not Path(origin.file).is_file() else (Path(origin.file).absolute().parent,)
        return tuple(dict.fromkeys((*beside, *self.trained_in)))

    def problem(self, code: str, message: str, path: str, hint: str | None = None) -> Problem:
        """Make a problem of the value at `path`, or of the innermost one around it."""
        return problem(code, message, self.nearest(path), hint, path)

    def _walk(self, path: str) -> tuple[Origin, bool]:
        value, key, scope = self.tree, self.tree.origin, _Scope(self.tree)
        for step in paths.parse(path) or ():
            value = scope.enter(value, step)
            if isinstance(value, Scalar) and value.value == step:
                continue
            found = paths.child(value, step)
            if found is None:
                return _place(value, key), False
            key = value.entries[step].key if isinstance(value, Mapping) and isinstance(step, str) else found.origin
            value = scope.argument(found)
        return _place(value, key), True


def _place(value: Value, key: Origin) -> Origin:
    """Return a scalar's own place, but the key's for a mapping or list, which may go on for lines."""
    return value.origin if isinstance(value, Scalar) else key


class _Scope:
    """The uses of blocks that a path goes through, from the outermost."""

    def __init__(self, tree: Value) -> None:
        model = paths.child(tree, "model")
        blocks = model and paths.child(model, "blocks")
        self.blocks = blocks.entries if isinstance(blocks, Mapping) else {}
        self.uses: list[Value] = []
        self.last: str | int = ""

    def enter(self, value: Value, step: str | int) -> Value:
        """Return the definition in place of a block's use, where the path goes on to its layers."""
        last, self.last = self.last, step
        if step == "layers" and last in self.blocks and isinstance(last, str):
            self.uses.append(value)
            return self.blocks[last].value
        return value

    def argument(self, value: Value) -> Value:
        """Return what a `$parameter` stands for."""
        for arguments in reversed(self.uses):
            if not isinstance(value, Scalar) or not str(value.value).startswith("$"):
                break
            value = paths.child(arguments, str(value.value)[1:]) or value
        return value
