"""Where every value of a config came from: a line of a file, `--set`, or a default."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cnncli.config.tree import Mapping, Origin, Sequence, Value

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Origins:
    """Look up origins by path; two configs are equal wherever their values were written."""

    tree: Value = field(compare=False, repr=False)

    def get(self, path: str) -> Origin | None:
        """Return where the value at `path` was written, or None for a default."""
        value, complete = self._walk(path)
        return value.origin if complete else None

    def nearest(self, path: str) -> Origin:
        """Return where the value at `path`, or the innermost one around it, was written."""
        return self._walk(path)[0].origin

    def _walk(self, path: str) -> tuple[Value, bool]:
        value = self.tree
        for key, index in _STEP.findall(path):
            if isinstance(value, Mapping) and key in value.entries:
                value = value.entries[key].value
            elif isinstance(value, Sequence) and index and int(index) < len(value.items):
                value = value.items[int(index)]
            else:
                return value, False
        return value, True
