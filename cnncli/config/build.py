"""Values with positions → `Config`: every section validated, the network made, its shapes checked."""

from __future__ import annotations

from cnncli.config import named, validation
from cnncli.config.augmentation import AUGMENTATIONS
from cnncli.config.expected import read
from cnncli.config.network import Network
from cnncli.config.optimizers import OPTIMIZERS
from cnncli.config.origins import Origins
from cnncli.config.schedules import SCHEDULES
from cnncli.config.schema import Config, Data, Document, Model, Train
from cnncli.config.tree import Mapping, Origin, Sequence, Value, plain
from cnncli.config.places import problem
from cnncli.errors import ConfigError, Problem, ShapeError
from cnncli.layers.graph import Node, flatten, shapes


def build(tree: Value) -> Config:
    """Make a Config of a whole document.

    Raises:
        ConfigError: With all problems found, most useful first.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError((problem("E009", f"A config is a mapping; read {read(tree)}.", tree.origin),))
    return _Builder(tree).config()


class _Builder:
    """One document on its way to a Config."""

    def __init__(self, tree: Mapping) -> None:
        self.tree = tree
        self.problems: list[Problem] = []

    def config(self) -> Config:
        data = self.data()
        train = self.train()
        network = self.network()
        ready = {
            "data": data or Data.model_construct(),
            "train": train or Train.model_construct(),
            "model": Model.model_construct(),
        }
        present: dict[str, object] = {key: value for key, value in ready.items() if key in self.tree.entries}
        document = validation.build(Document, self.tree, "", self.problems, present)
        nodes: tuple[Node, ...] = ()
        if not self.problems and data is not None and network is not None:
            nodes = self.nodes(network, (*data.image_size, data.channels))
        self.stop()
        assert document is not None and data is not None
        return Config(
            name=document.name,
            seed=document.seed,
            data=data,
            nodes=nodes,
            train=train or Train(),
            document=plain(self.tree),
            origins=Origins(self.tree),
        )

    def stop(self) -> None:
        if self.problems:
            ranked = sorted(self.problems, key=lambda p: (p.file or "", p.line or 0, p.column or 0))
            raise ConfigError(tuple(dict.fromkeys(ranked)))

    def section(self, key: str) -> Mapping | None:
        value = self.tree.get(key)
        if value is None or isinstance(value, Mapping):
            return value
        self.problems.append(problem("E014", f"Expected a mapping; read {read(value)}.", value.origin, path=key))
        return None

    def data(self) -> Data | None:
        section = self.section("data")
        if section is None:
            return None
        ready = {}
        changes = section.get("augmentation")
        if isinstance(changes, Sequence):
            made = []
            for index, item in enumerate(changes.items):
                found = named.split(item, f"data.augmentation[{index}]", "augmentation", self.problems)
                made.append(found and named.make(found, AUGMENTATIONS, "augmentation", self.problems))
            ready["augmentation"] = tuple(spec for spec in made if spec is not None)
        return validation.build(Data, section, "data", self.problems, ready)

    def train(self) -> Train | None:
        section = self.section("train")
        if section is None:
            return None
        ready = {}
        for key, vocabulary in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = section.get(key)
            if value is None:
                continue
            found = named.split(value, f"train.{key}", key, self.problems)
            spec = found and named.make(found, vocabulary, key, self.problems)
            ready[key] = spec or Train.model_fields[key].default
        return validation.build(Train, section, "train", self.problems, ready)

    def network(self) -> tuple[Network, tuple[object, ...]] | None:
        section = self.section("model")
        if section is None:
            return None
        blocks = section.get("blocks")
        network = Network(blocks if isinstance(blocks, Mapping) else None, self.problems)
        layers = network.layers(section.get("layers"), "model.layers", {})
        validation.build(Model, section, "model", self.problems, {"layers": layers} if layers else {})
        return network, layers

    def nodes(self, network: tuple[Network, tuple[object, ...]], input_shape: tuple[int, ...]) -> tuple[Node, ...]:
        made, layers = network
        nodes = flatten(layers)
        try:
            shapes(nodes, input_shape)
        except ShapeError as error:
            node = getattr(error, "node", None)
            origin = made.origins.get(id(node.layer)) if node else None
            origin = origin or Origins(self.tree).nearest(node.path if node else "model")
            self.problems.append(problem("E040", error.message, origin, error.hint, node.path if node else "model"))
        return nodes
