"""Which module of a state_dict holds the weights of which layer: by a table of names, or by order and shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import Any

from cnncli.config.language.suggestions import suggestion
from cnncli.config.yaml import files
from cnncli.config.yaml.tree import plain
from cnncli.importing.channels_first import Slot, refuse
from cnncli.importing.graph import GraphImportError
from cnncli.importing.pytorch.modules import Module, Signature, Unit, described, difference, modules, natural, units
from cnncli.importing.pytorch.tensors import StoredTensor, TensorFile

Table = Mapping[str, tuple[str, ...]]
"""Layer → prefixes of the modules that hold its weights, of which only a separable convolution has two."""

TABLE_HINT = 'Give a table of names with --names: a YAML file with lines such as "conv2d: features.0".'
_UNORDERED_HINT = f"A safetensors file does not keep the order of layers; a .pt file does. {TABLE_HINT}"


@dataclass(frozen=True)
class Match:
    """What was found.

    Attributes:
        tensors: By "layer/weight".
        prefixes: By layer.
        unused: Prefixes of the modules that no layer takes.
    """

    tensors: Mapping[str, StoredTensor]
    prefixes: Table
    unused: tuple[str, ...] = ()


def match(file: TensorFile, slots: Sequence[Slot], table: Table | None, where: str) -> Match:
    """Return which tensors the slots take.

    Args:
        file: The tensors.
        slots: What the network needs.
        table: Names, or None to go by order and shape.
        where: What errors call the file.

    Raises:
        GraphImportError: If anything does not fit, with all of it.
    """
    needed, found = units(slots), modules(file.tensors)
    if table is not None:
        return _by_table(needed, found, table, where)
    if file.is_in_order:
        return _by_order(needed, found, where)
    return _by_shape(needed, found, where)


def read_table(path: Path, slots: Sequence[Slot]) -> Table:
    """Return a table of names, a YAML file.

    Raises:
        ConfigError: If it cannot be read or is not YAML.
        GraphImportError: If it is not a table, or names layers that the config lacks.
    """
    table = plain(files.read(path, str(path)))
    if not isinstance(table, dict):
        raise GraphImportError(f"{path}: got {type(table).__name__}, expected lines such as conv2d: features.0")
    layers = dict.fromkeys(slot.layer for slot in slots)
    return {layer: _prefixes(path, layer, value, layers) for layer, value in table.items()}


def _prefixes(path: Path, layer: str, value: Any, layers: Mapping[str, None]) -> tuple[str, ...]:
    if layer not in layers:
        raise GraphImportError(
            f'{path}: the config has no layer "{layer}" with weights.{suggestion(layer, layers)}',
            f"Layers with weights: {', '.join(layers)}.",
        )
    prefixes = value if isinstance(value, list) else [value]
    if any(type(prefix) not in (str, int) for prefix in prefixes):
        # 0.10 would be the number 0.1.
        raise GraphImportError(
            f"{path}: {layer}: got {value}, expected the name of a module", 'Put quotes around it: "0.10".'
        )
    return tuple(map(str, prefixes))


def _by_table(needed: Sequence[Unit], found: Sequence[Module], table: Table, where: str) -> Match:
    """Give each layer the modules that the table names, or the one of its own name."""
    by_prefix = {module.prefix: module for module in found}
    pairs: list[tuple[Unit, Module]] = []
    problems: list[str] = []
    for layer, group in groupby(needed, key=lambda unit: unit.layer):
        own = list(group)
        prefixes = table.get(layer, (layer,))
        if len(prefixes) != len(own):
            problems.append(f"{layer}: the table names {len(prefixes)} modules, expected {len(own)}")
            continue
        for unit, prefix in zip(own, prefixes, strict=True):
            if prefix in by_prefix:
                pairs.append((unit, by_prefix[prefix]))
            else:
                problems.append(f'{layer}: there is no module "{prefix}".{suggestion(prefix, by_prefix)}')
    return _matched(pairs, found, problems, where, f"Modules: {_listed(list(by_prefix))}.")


def _by_order(needed: Sequence[Unit], found: Sequence[Module], where: str) -> Match:
    """Give the first layer the first module and so on."""
    if [unit.signature for unit in needed] == [module.signature for module in found]:
        return _matched(list(zip(needed, found, strict=True)), found, [], where, TABLE_HINT)
    refuse(list(_unequal(needed, found)), where, TABLE_HINT)
    raise AssertionError


def _unequal(needed: Sequence[Unit], found: Sequence[Module]) -> Iterator[str]:
    """Yield where layers and modules part: what has another shape, what is missing, what is too much."""
    theirs = [module.signature for module in found]
    matcher = SequenceMatcher(None, [unit.signature for unit in needed], theirs)
    for kind, first, last, begin, end in matcher.get_opcodes():
        if kind == "equal":
            continue
        both = min(last - first, end - begin)
        for unit, module in zip(needed[first : first + both], found[begin : begin + both], strict=True):
            yield difference(unit, module) or ""
        for unit in needed[first + both : last]:
            yield f"{unit.layer}: the file has no module with {described(unit.signature)} at this place"
        for module in found[begin + both : end]:
            yield f"{module.shown} with {described(module.signature)}: the config has no such layer at this place"


def _by_shape(needed: Sequence[Unit], found: Sequence[Module], where: str) -> Match:
    """Give layers of equal shapes, in their order, the modules of those shapes in the order of their numbers.

    Names that differ in more than numbers have no order that could be known: such modules need a table.
    """
    alike: dict[Signature, tuple[list[Unit], list[Module]]] = {}
    for unit in needed:
        alike.setdefault(unit.signature, ([], []))[0].append(unit)
    for module in found:
        alike.setdefault(module.signature, ([], []))[1].append(module)
    pairs: list[tuple[Unit, Module]] = []
    problems: list[str] = []
    for signature, (own, theirs) in alike.items():
        if len(own) != len(theirs) or len({module.pattern for module in theirs}) > 1:
            layers, names = _listed([unit.layer for unit in own]), _listed([module.shown for module in theirs])
            problems.append(f"{described(signature)}: layers {layers}; modules {names}")
        pairs += zip(own, sorted(theirs, key=lambda module: natural(module.prefix)), strict=False)
    return _matched(pairs, found, problems, where, _UNORDERED_HINT)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:20])}{', …' if names[20:] else ''}" if names else "(none)"


def _matched(
    pairs: Sequence[tuple[Unit, Module]], found: Sequence[Module], problems: list[str], where: str, hint: str
) -> Match:
    unequal = [problem for unit, module in pairs if (problem := difference(unit, module)) is not None]
    refuse([*problems, *unequal], where, hint)
    tensors = {slot.name: module.tensors[name] for unit, module in pairs for name, slot in unit.slots.items()}
    prefixes = {
        layer: tuple(module.prefix for _, module in group)
        for layer, group in groupby(sorted(pairs, key=lambda pair: pair[0].layer), key=lambda pair: pair[0].layer)
    }
    used = {module.prefix for _, module in pairs}
    return Match(tensors, prefixes, tuple(module.prefix for module in found if module.prefix not in used))
