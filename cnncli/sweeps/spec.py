"""A sweep's file: a config with one more section, `sweep`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, Field, model_validator

from cnncli.config import zoo
from cnncli.config.build import build
from cnncli.config.dump import dump_document
from cnncli.config.language import extends, override, references, validation
from cnncli.config.language.expected import read as written
from cnncli.config.language.suggestions import suggestion
from cnncli.config.language.validation import Part
from cnncli.config.location import located
from cnncli.config.schema.schema import Config, Section
from cnncli.config.yaml import files, paths
from cnncli.config.yaml.problems import fail, problem
from cnncli.config.yaml.tree import Entry, Origin, Plain, Scalar, Sequence, Source, Value, plain
from cnncli.config.yaml.tree import Mapping as MappingValue
from cnncli.errors import ConfigError, Problem
from cnncli.sweeps.conditions import Condition, missing
from cnncli.sweeps.space import Dimension, Params, Range, Space, choices, linked

Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Number = int | float
Whole = int
Bounds = Annotated[tuple[Number, ...], Field(min_length=2, max_length=2)]
Readable = Annotated[str, AfterValidator(lambda text: Condition(text).text)]

COUNTS = ("params", "macs")
"""What is known of a network before it is trained."""

OF_RUNS = ("seconds",)
"""What is known of a run besides the metrics of its task."""

LATENCY = "latency"
"""Milliseconds that the network of a trial takes for one image, measured once after its trainings."""

SINGLE = ("cmaes",)
"""Samplers that take one objective only."""


class Limits(Section):
    """Networks that are refused before they are trained."""

    params: Positive | None = Field(default=None, description="Most parameters.")
    macs: Positive | None = Field(default=None, description="Most multiply-accumulate operations for one example.")


class Halving(Section):
    """Trials stop at rungs, from which only the best of them go on."""

    first: Positive = Field(description="Epochs of the first rung; each further one has `factor` times as many.")
    factor: Annotated[int, Field(ge=2)] = Field(default=3, description="One in so many trials goes on from a rung.")


class Prune(Section):
    """How trials end early that are worse than others."""

    halving: Halving = Field(description="Train all trials a little, the best of them more.")


class Settings(Section):
    """The section `sweep`."""

    space: dict[str, Any] = Field(description="Keys that vary, each with its values.")
    objectives: dict[str, Literal["max", "min"]] | None = Field(
        default=None,
        description="What is sought: metrics of the validation split at the best epoch, or "
        "params, macs, seconds, latency.",
    )
    limits: Limits = Field(default=Limits(), description="Networks that are refused before they are trained.")
    conditions: tuple[Readable, ...] = Field(
        default=(), description="What the keys of a trial must fulfil: train.batch_size * 2 <= 512."
    )
    sampler: Literal["random", "grid", "sobol", "tpe", "cmaes", "nsga2"] = Field(
        default="tpe", description="Who chooses the values."
    )
    seed: Seed = Field(default=0, description="Seed of the sampler.")
    trials: Positive | None = Field(default=None, description="Number of trials; a grid has its own.")
    parallel: Positive = Field(
        default=1, description="Trials that are trained at once: each is chosen without the results of the others."
    )
    seeds: tuple[Seed, ...] | None = Field(
        default=None, min_length=1, description="Seeds with which each trial is trained; its value is the mean."
    )
    folds: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="Folds on which each trial is trained; its value is the mean."
    )
    prune: Prune | None = Field(default=None, description="Trials that are worse than others end early.")
    threads: Positive | None = Field(
        default=None, description="CPU threads of each training; null: the cores, divided by `parallel`."
    )

    @model_validator(mode="after")
    def _check(self) -> Settings:
        if self.seeds is not None and self.folds is not None:
            raise ValueError("Give either seeds or folds, not both.")
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise ValueError("The seeds are not all different.")
        if self.sampler != "grid" and self.trials is None:
            raise ValueError(f"The sampler {self.sampler} needs a number of trials. Write `trials: 50`.")
        if self.sampler in SINGLE and len(self.objectives or ()) > 1:
            raise ValueError(f"The sampler {self.sampler} takes one objective. For several use tpe or nsga2.")
        if self.objectives == {}:
            raise ValueError("There is no objective. Write `objectives: {accuracy: max}`, or leave out the key.")
        return self


class _RangeOf(Section):
    """`{float: [a, b], log: true, step: c}` as it is written."""

    when: dict[str, Any] | None = Field(default=None, description="Values of other keys with which this one exists.")
    log: bool | Bounds = Field(default=False, description="Whether the values are spread evenly over the exponents.")
    float: Bounds | None = Field(default=None, description="Smallest and largest number.")
    int: tuple[Whole, ...] | None = Field(
        default=None, min_length=2, max_length=2, description="Smallest and largest whole number."
    )
    choice: tuple[Any, ...] | None = Field(default=None, min_length=1, description="The values.")
    step: Annotated[Number, Field(gt=0)] | None = Field(default=None, description="Distance between two values.")

    @model_validator(mode="after")
    def _check(self) -> _RangeOf:
        given = [name for name in ("float", "int", "choice") if getattr(self, name) is not None]
        given += ["log"] if isinstance(self.log, tuple) else []
        if len(given) != 1:
            raise ValueError("Give one of float: [a, b], int: [a, b], log: [a, b] and choice: [a, b, …].")
        if self.choice is not None and (self.log or self.step):
            raise ValueError("A choice has neither log nor step.")
        if self.log and self.step:
            raise ValueError("Give either log or step, not both.")
        if self.int is not None and self.step is not None and not isinstance(self.step, int):
            raise ValueError(f"A step between whole numbers is whole; got {self.step:g}.")
        return self

    def range(self) -> Range:
        """Return the numbers; raises ValueError where there are none."""
        low, high = self.int or self.float or (self.log if isinstance(self.log, tuple) else (0, 0))
        if low >= high:
            raise ValueError(f"Expected two numbers, the smaller one first; got [{low:g}, {high:g}].")
        if self.log and low <= 0:
            raise ValueError(f"With log, both numbers must be greater than 0; got {low:g}.")
        if self.int is not None:
            return Range(low, high, True, bool(self.log), self.step)
        return Range(float(low), float(high), False, bool(self.log), self.step)


@dataclass(frozen=True)
class Sweep:
    """A whole sweep.

    Attributes:
        name: Its name, and that of its directory.
        settings: The section `sweep`.
        space: The keys that vary.
        base: The experiment that is varied.
        tree: The base as it was read, with what it extends.
    """

    name: str
    settings: Settings
    space: Space
    base: Config
    tree: Value

    @cached_property
    def objectives(self) -> dict[str, Literal["max", "min"]]:
        """What is sought; where the file names nothing, the metric that chooses the best epoch of a run."""
        if self.settings.objectives is not None:
            return self.settings.objectives
        primary = self.base.task_spec.primary
        return {primary.name: "max" if primary.higher_is_better else "min"}

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """What the keys of a trial must fulfil."""
        return tuple(map(Condition, self.settings.conditions))

    @property
    def signs(self) -> tuple[int, ...]:
        """1 for each objective that is to rise, -1 for each that is to fall."""
        return tuple(1 if direction == "max" else -1 for direction in self.objectives.values())

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which trials stop and may be pruned, all before the last epoch; none without halving."""
        if self.settings.prune is None:
            return ()
        halving, last = self.settings.prune.halving, self.base.train.epochs
        epochs = (halving.first * halving.factor**rung for rung in count())
        return tuple(takewhile(lambda each: each < last, epochs))

    @property
    def factor(self) -> int:
        """One in so many trials goes on from a rung."""
        return 1 if self.settings.prune is None else self.settings.prune.halving.factor

    def config(self, params: Params) -> Config:
        """Return the config of a trial.

        Raises:
            ConfigError: If the values do not go together.
        """
        tree = self.space.apply(self.tree, params)
        if self.settings.threads is not None:
            tree = override.apply(tree, override.parse(f"train.threads={self.settings.threads}"))
        return build(references.resolve(tree))

    @property
    def document(self) -> dict[str, Any]:
        """The resolved sweep as plain data: what sweep.yaml holds."""
        settings = self.settings.model_dump(mode="json")
        return {**self.base.document, "sweep": settings | {"objectives": dict(self.objectives)}}

    def dump(self) -> str:
        """Return the resolved sweep as YAML; loading it gives an equal sweep."""
        return dump_document(self.document)

    def with_settings(self, **changes: Any) -> Sweep:
        """Return the sweep with other settings."""
        return replace(self, settings=self.settings.model_copy(update=changes))


def load_sweep(source: str | Path, overrides: Iterable[str] = ()) -> Sweep:
    """Read a sweep's file, and check every choice and both ends of every range.

    Args:
        source: The file: a config, which may extend another, with a section `sweep`.
        overrides: "a.b[0].c=value" texts, as `--set` takes them: "sweep.trials=20", "train.epochs=3".

    Raises:
        ConfigError: With the problems found, each at its place.
        DataError: If the examples are not where the config says.
    """
    path = zoo.locate(source)
    read = files.read(path, str(path))
    name = read.get("name") if isinstance(read, MappingValue) else None
    tree = extends.resolve(_with_extends(read), path)
    for text in overrides:
        tree = override.apply(tree, override.parse(text))
    section = tree.get("sweep") if isinstance(tree, MappingValue) else None
    if not isinstance(tree, MappingValue) or not isinstance(section, MappingValue):
        hint = "Write `sweep: {space: {train.batch_size: [32, 64]}, trials: 2}`: `cnn help sweeps`."
        fail("E011", f"{path} has no section sweep: it is no sweep, but a config.", tree.origin, hint, "sweep")
    entries = {key: entry for key, entry in tree.entries.items() if key != "sweep"}
    if name is None:
        stem = Origin(Source(str(path), ()), 1, 1)
        entries["name"] = Entry(stem, Scalar(path.stem, stem))
    settings, space = _read(section)
    tree = replace(tree, entries=entries)
    base = build(references.resolve(tree))
    sweep = Sweep(base.name, settings, space, base, _with_absolute_path(tree, base))
    sweep = replace(sweep, base=build(references.resolve(sweep.tree)))
    _check(sweep, section)
    return sweep


def _with_extends(tree: Value) -> Value:
    """Return a sweep's file that says `extends` where it says `config`, which means the same at its top.

    Raises:
        ConfigError: If it says both.
    """
    if not isinstance(tree, MappingValue) or "config" not in tree.entries:
        return tree
    if "extends" in tree.entries:
        message = "A sweep varies one experiment: give either config or extends, not both."
        fail("E019", message, tree.entries["config"].key, "Remove one of them.", "config")
    return replace(tree, entries={"extends" if key == "config" else key: each for key, each in tree.entries.items()})


def _with_absolute_path(tree: MappingValue, base: Config) -> MappingValue:
    """Return a config that finds its examples wherever it is stored."""
    if base.data.path is None:
        return tree
    origin = base.origins.nearest("data.path")
    path = Scalar(str(Path(located(base).path or "").expanduser().absolute()), origin)
    return override.apply(tree, override.Override(("data", "path"), (origin, origin), path))  # type: ignore[return-value]


def _read(section: MappingValue) -> tuple[Settings, Space]:
    """Return the settings and the space of a section; raises ConfigError."""
    problems: list[Problem] = []
    settings = validation.build(Settings, Part(section, "sweep"), problems)
    if settings is None:
        raise ConfigError(tuple(problems))
    space = section.get("space")
    if not isinstance(space, MappingValue) or not space.entries:
        fail("E014", "The space of a sweep is a mapping with at least one key.", section.origin, path="sweep.space")
    found = tuple(_dimension(key, entry, problems) for key, entry in space.entries.items())
    dimensions = linked(tuple(each for each in found if each is not None))
    problems += _wrong_conditions(dimensions)
    if problems:
        raise ConfigError(tuple(problems))
    return settings.model_copy(update={"space": plain(space)}), Space(dimensions)


def _dimension(key: str, entry: Entry, problems: list[Problem]) -> Dimension | None:
    """Read one key of the space, or add to `problems` what is wrong with it."""
    place = f"sweep.space.{key}"
    steps = paths.parse(key)
    if steps is None or steps in (("name",), ("extends",)):
        hint = "For example: train.batch_size, or model.layers[0].Conv2D.filters"
        problems.append(
            problem("E025", f'Expected the path of a key that varies; got "{key}".', entry.key, hint, place)
        )
        return None
    value = entry.value
    if isinstance(value, Sequence) and value.items:
        return Dimension(key, steps, entry.key, choices(value.items))
    if not isinstance(value, MappingValue):
        message = f"Expected values, [a, b, …], or a range, {{float: [a, b]}}; got {written(value)}."
        problems.append(problem("E014", message, value.origin, None, place))
        return None
    made = validation.build(_RangeOf, Part(value, place), problems)
    if made is None:
        return None
    when = tuple((made.when or {}).items())
    listed = value.get("choice")
    if isinstance(listed, Sequence):
        return Dimension(key, steps, entry.key, choices(listed.items), when)
    try:
        return Dimension(key, steps, entry.key, made.range(), when)
    except ValueError as error:
        problems.append(problem("E019", str(error), value.origin, None, place))
        return None


def _wrong_conditions(dimensions: tuple[Dimension, ...]) -> Iterator[Problem]:
    """Yield what is wrong with the values that keys depend on."""
    above: dict[str, tuple[Plain, ...]] = {}
    for dimension in dimensions:
        place = f"sweep.space.{dimension.key}"
        for key, label in dimension.when:
            if key not in above:
                known = any(each.key == key for each in dimensions)
                near = " Write it above this one." if known else suggestion(key, above)
                message = f'This key depends on "{key}", which is no choice above it.{near}'
                yield problem("E019", message, dimension.origin, None, place)
            elif label not in above[key]:
                message = f'"{label}" is not one of the values of {key}.{suggestion(str(label), map(str, above[key]))}'
                yield problem("E019", message, dimension.origin, f"Values: {', '.join(map(str, above[key]))}", place)
        if not isinstance(dimension.among, Range):
            above[dimension.key] = dimension.extremes


def _check(sweep: Sweep, section: MappingValue) -> None:
    """Refuse what cannot be trained: values that are not valid, objectives that nothing measures.

    Raises:
        ConfigError: With the first problems found.
    """
    settings, base = sweep.settings, sweep.base
    names = [metric.name for metric in base.task_spec.metrics]
    known = (*names, *COUNTS, *OF_RUNS, LATENCY)
    for name in sweep.objectives:
        if name not in known:
            message = f'Nothing named "{name}" is measured.{suggestion(name, known)}'
            _refuse(section, "objectives", message, f"Objectives: {', '.join(known)}")
    measured = set(sweep.objectives) & set(names)
    if measured and settings.folds is None and not base.data.has_validation:
        _refuse(section, "objectives", "There is no validation split to measure on.", "Set data.validation: 0.1.")
    if base.train.max_minutes is not None:
        _refuse(section, "space", "A trial that train.max_minutes stops has no result.", "Set train.max_minutes: null.")
    start = base.train.start_from
    if start is not None and start.run is not None and not (Path(start.run) / "run.json").is_file():
        message = f"A sweep starts from a run by its path; there is no run {start.run}."
        fail("E019", message, base.origins.nearest("train.start_from"), "`cnn runs` lists them.", "train.start_from")
    for dimension in sweep.space.dimensions:
        if settings.sampler == "grid" and dimension.values is None:
            message = "A grid needs values that can be counted."
            hint = "Give a list, [a, b, …], or a step."
            raise ConfigError((problem("E019", message, dimension.origin, hint, f"sweep.space.{dimension.key}"),))
    configs = [sweep.config(params) for params in sweep.space.samples()]
    _check_conditions(sweep, section, [base.document, *(config.document for config in configs)])
    if settings.prune is not None:
        _check_rungs(sweep, settings.prune.halving, configs, section)


def _check_conditions(sweep: Sweep, section: MappingValue, documents: list[dict[str, Any]]) -> None:
    """Refuse conditions on keys that no trial has, and those that cannot be computed; raises ConfigError."""
    written = section.get("conditions")
    origins = [item.origin for item in written.items] if isinstance(written, Sequence) else []
    for index, (condition, origin) in enumerate(zip(sweep.conditions, origins, strict=True)):
        place = f"sweep.conditions[{index}]"
        for steps in condition.paths():
            absent = [missing(steps, document) for document in documents]
            if all(absent):
                fail("E019", absent[0] or "", origin, "Write the path of a key, as `--set` takes it.", place)
        try:
            for document in documents:
                condition.judge(document)
        except ValueError as error:
            fail("E019", validation.sentence(str(error)), origin, None, place)


def _check_rungs(sweep: Sweep, halving: Halving, configs: Iterable[Config], section: MappingValue) -> None:
    """Refuse rungs at which trials cannot be compared.

    Raises:
        ConfigError: With the first problem found.
    """
    train, names = sweep.base.train, [metric.name for metric in sweep.base.task_spec.metrics]
    if halving.first >= train.epochs:
        message = f"The first rung, epoch {halving.first}, is not before the last epoch, {train.epochs}."
        _refuse(section, "prune", message, f"Set first to less than {train.epochs}, or raise train.epochs.")
    if not set(sweep.objectives) & set(names):
        message = f"None of the objectives, {', '.join(sweep.objectives)}, changes while a network is trained."
        _refuse(section, "prune", message, f"Leave out prune, or seek one of {', '.join(names)} as well.")
    timed = [name for name in sweep.objectives if name in (*OF_RUNS, LATENCY)]
    if timed:
        message = f"Trials cannot be pruned by {timed[0]}: that differs from time to time."
        _refuse(section, "prune", message, "Seek macs instead, or leave out prune.")
    trials, parallel = sweep.settings.trials, sweep.settings.parallel
    if trials is not None and trials % parallel:
        message = f"{trials} trials are not whole rounds of {parallel}: those of a round are compared with each other."
        _refuse(
            section, "trials", message, f"Set trials to a multiple of parallel: {-(-trials // parallel) * parallel}."
        )
    for config in configs:
        if config.train.epochs != train.epochs:
            message = "With prune, all trials have the same train.epochs: they are compared at the same epochs."
            _refuse(section, "prune", message, "Take train.epochs out of the space, or leave out prune.")
        if config.monitor != sweep.base.monitor:
            message = "With prune, the same metric chooses the best epoch of all trials."
            _refuse(section, "prune", message, "Take train.early_stopping out of the space, or leave out prune.")


def _refuse(section: MappingValue, key: str, message: str, hint: str) -> NoReturn:
    entry = section.entries.get(key)
    fail("E019", message, section.origin if entry is None else entry.key, hint, f"sweep.{key}")


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths at which two resolved sweeps differ."""
    for key in dict.fromkeys((*stored, *wanted)):
        one, other = stored.get(key), wanted.get(key)
        inner = f"{path}.{key}".removeprefix(".")
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differences(one, other, inner)
        elif one != other:
            yield inner
