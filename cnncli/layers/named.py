"""Arguments that are themselves named things with arguments: `he_normal`, `{L2: {l2: 1e-4}}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from cnncli.layers.base import Spec


def snake_case(name: str) -> str:
    """Return a class name as Keras spells it in snake case: HeNormal → he_normal, Conv2D → conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class OneOf:
    """Pydantic annotation: one of several specs, by name or as `{Name: {argument: value}}`.

    A problem inside is located by the name, as in the YAML: `kernel_initializer.RandomNormal.stddev`.

    Args:
        specs: The specs by name; each also answers to its name in snake case.
    """

    def __init__(self, specs: Mapping[str, type[Spec]]) -> None:
        self.specs = specs
        self.names = {snake_case(name): name for name in specs} | {name: name for name in specs}

    def tag(self, given: Any) -> str | None:
        """Return the name in what was given, or None if there is none."""
        if isinstance(given, Spec):
            return given.type_name()
        if isinstance(given, dict) and len(given) == 1:
            given = next(iter(given))
        return self.names.get(given, given) if isinstance(given, str) else None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {
            name: core_schema.no_info_before_validator_function(_arguments, handler.generate_schema(spec))
            for name, spec in self.specs.items()
        }
        return core_schema.tagged_union_schema(choices, discriminator=self.tag, strict=False, serialization=_WRITTEN)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        named = [
            {
                "type": "object",
                "properties": {name: handler(spec.__pydantic_core_schema__)},
                "required": [name],
                "additionalProperties": False,
            }
            for name, spec in self.specs.items()
        ]
        return {"anyOf": [{"enum": sorted(self.names)}, *named]}


def _arguments(given: Any) -> Any:
    """Return the arguments in `Name` or `{Name: arguments}`."""
    if isinstance(given, dict):
        (given,) = given.values()
        return {} if given is None else given
    return {} if isinstance(given, str) else given


def written(spec: Spec) -> str | dict[str, Any]:
    """Return a spec as a config writes it."""
    arguments = spec.model_dump(mode="json", exclude_defaults=True)
    return {spec.type_name(): arguments} if arguments else spec.type_name()


_WRITTEN = core_schema.plain_serializer_function_ser_schema(written)
