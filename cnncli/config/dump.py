"""`Config` → YAML text: what a run's config.yaml holds."""

from __future__ import annotations

import re
from typing import Any

import yaml

from cnncli.config import scalars
from cnncli.config.schema import Config


class _Dumper(yaml.SafeDumper):
    """Writes what our reader reads back: YAML 1.2 scalars, short lists and arguments on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    try:
        safe = isinstance(scalars.read(text), str) and re.fullmatch(r"[A-Za-z0-9_./$-][A-Za-z0-9_./$ +-]*", text)
    except scalars.NumberError:
        safe = None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if safe else '"')


_Dumper.add_representer(str, _text)


def dump(config: Config) -> str:
    """Return the resolved config as YAML; loading it gives an equal config."""
    return dump_document(config.document)


def dump_document(document: dict[str, Any]) -> str:
    """Return plain data as YAML that our reader reads back."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
