"""`cnn schema`: the config language for editors."""

from __future__ import annotations

from cnncli.cli.console import print_json


def schema_cli() -> None:
    """Print the JSON Schema of a config, for completion and checks in editors.

    Example: cnn schema > cnn.schema.json
    """
    from cnncli.config.schema.json_schema import json_schema

    print_json(json_schema())
