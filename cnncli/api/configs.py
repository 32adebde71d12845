"""Configs, and networks in numbers; without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from cnncli.analysis.summary import Summary
    from cnncli.config.schema.schema import Config

ConfigLike: TypeAlias = "str | Path | Mapping[str, Any] | Config"
"""A file, the name of a network of the zoo, a config's plain data, or a config."""


def load(config: ConfigLike, **values: Any) -> Config:
    """Return a checked config.

    Args:
        config: A file, the name of a network of the zoo, plain data, or a config.
        **values: Values to override, by their path: `**{"train.epochs": 5}`, as `--set` takes them.

    Raises:
        ConfigError: With all problems of the config.
    """
    from cnncli.config import load as reading
    from cnncli.config.schema.schema import Config

    overrides = overrides_of(values)
    if isinstance(config, Config):
        return config if not overrides else reading.load_document(config.document, config.name, overrides)
    if isinstance(config, Mapping):
        return reading.load_document(dict(config), overrides=overrides)
    return reading.load(config, overrides)


def overrides_of(values: Mapping[str, Any]) -> list[str]:
    """Return values by their path as `--set` takes them."""
    return [f"{path}={json.dumps(value, default=str)}" for path, value in values.items()]


@dataclass(frozen=True)
class NetworkSummary:
    """A network in numbers; a notebook shows it as a table.

    Attributes:
        numbers: Rows and totals.
    """

    numbers: Summary

    @property
    def total_params(self) -> int:
        """Values of all weights."""
        return self.numbers.total_params

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one image."""
        return self.numbers.macs

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn summary --json` prints."""
        return self.numbers.to_json()

    def __repr__(self) -> str:
        from cnncli.report.tables import summary_text

        return summary_text(self.numbers)

    def _repr_markdown_(self) -> str:
        from cnncli.report.tables import summary_markdown

        return summary_markdown(self.numbers)


def summary(config: ConfigLike, **values: Any) -> NetworkSummary:
    """Return the layers of a network with shapes, parameters, operations and receptive fields; without TensorFlow.

    Args:
        config: As for `load`.
        **values: As for `load`.

    Raises:
        ConfigError: With all problems of the config.
    """
    from cnncli.analysis.summary import summarize

    return NetworkSummary(summarize(load(config, **values)))
