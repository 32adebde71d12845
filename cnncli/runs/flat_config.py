"""A run's config as one flat table: each value by its path, "train.optimizer.Adam.learning_rate"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnncli.errors import RunError
from cnncli.runs.run import reason

if TYPE_CHECKING:
    from cnncli.runs.run import Run


def flat_config(run: Run) -> dict[str, Any]:
    """Return the values of config.yaml by their paths; a list of numbers is one value.

    Raises:
        RunError: If the file cannot be read.
        ConfigError: If it is not YAML.
    """
    from cnncli.config.yaml.parser import MAX_BYTES, parse
    from cnncli.config.yaml.tree import plain

    try:
        text = run.read_bytes(run.config_file, MAX_BYTES).decode()
    except (OSError, ValueError) as error:
        raise RunError(f"{run.config_file} cannot be read: {reason(error)}") from error
    return dict(_flat(plain(parse(text, str(run.config_file)))))


def differing_values(documents: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the keys by their paths in which the documents of some configs differ, with the value of each."""
    return differing([dict(_flat(document)) for document in documents])


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the keys of flat configs whose values are not the same in all, with the value of each; None for none."""
    keys = dict.fromkeys(key for config in configs for key in config)
    rows = {key: tuple(config.get(key) for config in configs) for key in keys}
    return {key: values for key, values in rows.items() if any(value != values[0] for value in values)}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    else:
        yield path, value
