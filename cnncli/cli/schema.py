"""`cnn schema`: the config language for editors."""

from __future__ import annotations

from cnncli.cli.console import print_json


def schema_cli() -> None:
    """Print the JSON Schema of a config: editors complete and check with it.

    Example: cnn schema > cnn.schema.json
    """
    from cnncli.config.schema.json_schema import json_schema

    print_json(json_schema())
