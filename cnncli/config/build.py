"""Values with positions → `Config`: every section validated, the network made, its shapes checked."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from cnncli.config.document import document
from cnncli.config.language import validation
from cnncli.config.language.expected import read
from cnncli.config.language.misplaced_keys import misplaced_keys
from cnncli.config.language.named import AnySpec, make, split
from cnncli.config.language.network import Network
from cnncli.config.language.suggestions import suggestion
from cnncli.config.language.validation import Part, sentence
from cnncli.config.schema.augmentation import AUGMENTATIONS
from cnncli.config.schema.optimizers import OPTIMIZERS
from cnncli.config.schema.schedules import SCHEDULES
from cnncli.config.schema.schema import Config, Data, Document, Model, Section, Train
from cnncli.config.schema.tasks import TASKS, VALIDATION, TaskSpec
from cnncli.config.yaml.origins import Origins
from cnncli.config.yaml.problems import Problems, problem
from cnncli.config.yaml.tree import Entry, Mapping, Scalar, Sequence, Value
from cnncli.errors import ConfigError, Problem
from cnncli.layers.base import Spec
from cnncli.layers.fitting import advice
from cnncli.layers.graph import GraphError, Node, measure
from cnncli.layers.initializers import Constant
from cnncli.layers.layout import Layout, lay_out

_LATE = {"E011": 1, "E013": 1, "E019": 1, "E032": 2, "E037": 2, "E040": 2, "E041": 2, "E042": 2, "E043": 2}
"""Problems that may follow from others, and so come after them."""

_SHAPE = ("image_size", "channels")
_SECTIONS: dict[str, type[Section]] = {"data": Data, "model": Model, "train": Train}
AnySection = TypeVar("AnySection", bound=Section)


def build(tree: Value) -> Config:
    """Make a Config of a whole document.

    Raises:
        ConfigError: With all problems found, most useful first.
    """
    if not isinstance(tree, Mapping):
        message = f"A config is a mapping with the keys name, data, model and train; got {read(tree)}."
        raise ConfigError((problem("E009", message, tree.origin, "`cnn init` writes a config to start from."),))
    builder = _Builder(tree)
    try:
        return builder.config()
    except ConfigError as error:
        raise ConfigError(_useful_first(error.problems)) from None


def _useful_first(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Sort by what may follow from what, then by place, and leave out repetitions."""
    ranked = sorted(problems, key=lambda p: (_LATE.get(p.code, 0), p.file or "", p.line or 0, p.column or 0))
    shown = {(p.code, p.file, p.line, p.column, p.message): p for p in reversed(ranked)}
    return tuple(p for p in ranked if shown.get((p.code, p.file, p.line, p.column, p.message)) is p)


def _with_monitor(train: Train, task: TaskSpec) -> Train:
    """Return the train section with early stopping that watches the task's primary metric where it names none."""
    rule = train.early_stopping
    if rule is None or "monitor" in rule.model_fields_set:
        return train
    watching = rule.model_copy(update={"monitor": VALIDATION + task.primary.name})
    return train.model_copy(update={"early_stopping": watching})


def _changed(section: Section) -> set[str]:
    """Return the keys that a config gives another value than the default; that of a run gives all keys."""
    fields = type(section).model_fields
    return {key for key in section.model_fields_set if getattr(section, key) != fields[key].default}


def _with_initial_biases(network: Layout, task: TaskSpec) -> tuple[Node, ...]:
    """Return a network with the biases that its task gives the layers of its outputs to begin with.

    A layer without a bias, and one whose config says how it begins, are left as they are.
    """
    nodes = list(network.nodes)
    for name, index in network.outputs.items():
        start, layer = task.initial_bias(name), nodes[index].layer
        if start is not None and getattr(layer, "use_bias", False) and "bias_initializer" not in layer.model_fields_set:
            begun = layer.model_copy(update={"bias_initializer": Constant(value=start)})
            nodes[index] = replace(nodes[index], layer=begun)
    return tuple(nodes)


class _Builder:
    """One document on its way to a Config."""

    def __init__(self, tree: Mapping) -> None:
        self.problems = Problems()
        self.tree = self.without_distribute(tree)
        self.origins = Origins(self.tree)

    def config(self) -> Config:
        """Make the Config, or raise with all problems."""
        data, train = self.data(), self.train()
        layers, model = self.layers()
        top = self.top(data, train)
        shape = self.input_shape()
        network = self.network(layers, model, shape)
        if train is not None and model is not None:
            self.groups(train, network)
        if data is None or train is None or top is None or self.problems:
            raise ConfigError(tuple(self.problems))
        task = TASKS[top.task]
        for found in task.conflicts(data, _changed(train.loss)):
            self.add("E019", found.message, found.path, found.hint)
        nms = "none" if model is None else model.nms
        if nms != "none" and not task.reads_boxes:
            self.add("E019", "nms is for task: detection.", "model.nms", "Remove the key.")
        if self.problems:
            raise ConfigError(tuple(self.problems))
        train = _with_monitor(train, task)
        return Config(
            name=top.name,
            task=top.task,
            seed=top.seed,
            data=data,
            nodes=_with_initial_biases(network, task),
            outputs=network.outputs,
            nms=nms,
            train=train,
            document=document(top, data, train, self.tree),
            origins=self.origins,
        )

    def without_distribute(self, tree: Mapping) -> Mapping:
        """Leave out `train.distribute`: the configs of older runs say `none`, which is all that there was."""
        train = tree.get("train")
        if not isinstance(train, Mapping) or "distribute" not in train.entries:
            return tree
        entry, path = train.entries["distribute"], "train.distribute"
        if not (isinstance(entry.value, Scalar) and entry.value.value == "none"):
            message = "Where a run computes is no longer part of its config."
            hint = "Remove the key, set train.shards, and use `cnn train --workers N` or --cluster: `cnn help workers`."
            self.problems.append(problem("E010", message, entry.key, hint, path))
        kept = {key: each for key, each in train.entries.items() if key != "distribute"}
        section = Entry(tree.entries["train"].key, replace(train, entries=kept))
        return replace(tree, entries={**tree.entries, "train": section})

    def top(self, data: Data | None, train: Train | None) -> Document | None:
        """Validate the keys at the top; sections that failed have shown their problems already."""
        made = {"data": data, "train": train, "model": None}
        ready: dict[str, Any] = {
            key: section or _SECTIONS[key].model_construct()
            for key, section in made.items()
            if key in self.tree.entries
        }
        return validation.build(Document, Part(self.tree, "", misplaced_keys=misplaced_keys("")), self.problems, ready)

    def section(self, kind: type[AnySection], key: str, ready: MappingType[str, Any]) -> AnySection | None:
        """Validate a section's keys."""
        value = self.mapping(key)
        if value is None:
            return None
        return validation.build(kind, Part(value, key, misplaced_keys=misplaced_keys(key)), self.problems, ready)

    def mapping(self, key: str) -> Mapping | None:
        """Return a section's mapping, or add to the problems that it is not one."""
        value = self.tree.get(key)
        if value is None or isinstance(value, Mapping):
            return value
        hint = f"Keys of {key}: {', '.join(sorted(_SECTIONS[key].model_fields))}"
        self.problems.append(problem("E014", f"Expected a mapping; got {read(value)}.", value.origin, hint, key))
        return None

    def data(self) -> Data | None:
        """Make the data section."""
        section = self.mapping("data")
        changes = section.get("augmentation") if section else None
        if not isinstance(changes, Sequence):
            return self.section(Data, "data", {})
        made = [
            self.named(item, f"data.augmentation[{index}]", "augmentation", AUGMENTATIONS)
            for index, item in enumerate(changes.items)
        ]
        return self.section(Data, "data", {"augmentation": tuple(change for change in made if change is not None)})

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of an image, even where something else in the data section is wrong."""
        section = self.tree.get("data")
        if not isinstance(section, Mapping):
            return None
        needed = Mapping({key: section.entries[key] for key in _SHAPE if key in section.entries}, section.origin)
        data = validation.build(Data, Part(needed, "data"), [], {"source": "digits"})
        return (*data.image_size, data.channels) if data else None

    def train(self) -> Train | None:
        """Make the train section; one that is not there has its defaults."""
        section = self.mapping("train")
        if section is None:
            return Train()
        ready: dict[str, Any] = {}
        optimizer, schedule = section.get("optimizer"), section.get("schedule")
        if optimizer is not None:
            ready["optimizer"] = self.named(optimizer, "train.optimizer", "optimizer", OPTIMIZERS)
        if schedule is not None:
            ready["schedule"] = self.named(schedule, "train.schedule", "schedule", SCHEDULES)
        ready = {key: spec or Train.model_fields[key].default for key, spec in ready.items()}
        return self.section(Train, "train", ready)

    def named(self, value: Value, path: str, noun: str, vocabulary: MappingType[str, type[AnySpec]]) -> AnySpec | None:
        """Make an optimizer, a schedule or an augmentation."""
        found = split(value, path, noun, self.problems)
        return make(found, vocabulary, self.problems) if found else None

    def layers(self) -> tuple[tuple[Spec, ...], Model | None]:
        """Make the layers of the model, up to the first with something wrong.

        Returns:
            The layers, and the model with its heads and outputs; None where something is wrong with it.
        """
        section = self.mapping("model")
        if section is None:
            return (), None
        blocks, written, heads = (section.get(key) for key in ("blocks", "layers", "heads"))
        before = len(self.problems)
        network = Network(blocks if isinstance(blocks, Mapping) else None, self.problems)
        layers = network.sound(written) if written else ()
        made = network.heads(heads) if isinstance(heads, Mapping) else {}
        whole = len(self.problems) == before
        ready: dict[str, Any] = {"layers": layers or (Spec(),)} if layers or not whole else {}
        if isinstance(blocks, Mapping):
            ready["blocks"] = {}
        if isinstance(heads, Mapping):
            ready["heads"] = made if whole else {}
        model = self.section(Model, "model", ready)
        return layers, model if whole and layers else None

    def network(self, layers: tuple[Spec, ...], model: Model | None, input_shape: tuple[int, ...] | None) -> Layout:
        """Lay the network out and walk its shapes; without a model, those of the layers that there are."""
        nothing = Layout((), {}, ())
        if not input_shape:
            return nothing
        try:
            if model is None:
                layout = lay_out(layers, left_out=self.texts())
            else:
                layout = lay_out(layers, model.outputs, heads=model.heads)
        except GraphError as error:
            self.graph_problem(error)
            return nothing
        for each in layout.problems:
            self.graph_problem(each)
        for unfit in measure(layout.nodes, input_shape or ())[1]:
            message = f"{sentence(unfit.message)}\nSizes on the way: {unfit.sizes}"
            hint = advice(layout.nodes, input_shape or (), unfit) or unfit.hint or ""
            self.add(unfit.code or "E040", message, unfit.node.path, sentence(hint))
        return layout

    def graph_problem(self, error: GraphError) -> None:
        """Add what is wrong with how layers are joined."""
        self.add(error.code or "E029", sentence(error.message), error.path, sentence(error.hint or ""))

    def texts(self) -> set[str]:
        """Return the texts of the model that may be layers' names."""
        found: set[str] = set()
        waiting = [entry.value for key, entry in self.tree.entries.items() if key == "model"]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Scalar):
                found.add(str(value.value))
            elif isinstance(value, Mapping):
                waiting += [entry.value for key, entry in value.entries.items() if key not in ("inputs", "outputs")]
            else:
                waiting += value.items
        return found

    def groups(self, train: Train, network: Layout) -> None:
        """Check that every group of layers names at least one."""
        names = [node.name for node in network.nodes]
        for index, group in enumerate(train.groups):
            if names and not any(fnmatchcase(name, group.layers) for name in names):
                message = f'No layer is named "{group.layers}".{suggestion(group.layers, names)}'
                self.add("E032", message, f"train.groups[{index}].layers", f"Layers: {', '.join(names)}")

    def add(self, code: str, message: str, path: str, hint: str | None = None) -> None:
        """Add a problem at the place of a path."""
        self.problems.append(problem(code, message, self.origins.nearest(path), hint, path))
