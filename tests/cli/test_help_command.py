"""`cnn help`: every topic, layer, key, code and command has a page that fits the terminal."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cnncli.cli.app import ALL, COMMANDS, PANELS, app, function_of
from cnncli.config.error_pages import pages
from cnncli.config.examples import KEYS
from cnncli.config.load import load
from cnncli.config.reference import FAMILIES
from cnncli.config.schema.json_schema import json_schema
from cnncli.errors import CnnError
from cnncli.layers import VOCABULARY
from cnncli.report.help_pages import written

WIDTHS = (60, 80, 120)
LAYERS = [*VOCABULARY, "Parallel", "Residual", "Repeat"]


def cnn(*arguments: str, columns: int = 80) -> Result:
    """Run a command in this process, in a terminal of that width."""
    return CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns)})


def text(*arguments: str, columns: int = 80) -> str:
    """Return what `cnn help` prints of a topic."""
    result = cnn("help", *arguments, columns=columns)
    assert result.exit_code == 0, result.output
    return result.stdout


def flowing(shown: str) -> str:
    """Return a text without its line breaks and columns."""
    return " ".join(shown.split())


def config_keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the path and the schema of every key, as the JSON Schema for editors has them."""

    def below(part: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        while "$ref" in part and part["$ref"].rpartition("/")[2] not in NAMED:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        for name, inner in part.get("properties", {}).items():
            yield prefix + name, inner
            yield from below(inner, f"{prefix}{name}.")
        for option in part.get("anyOf", ()):
            yield from below(option, prefix)
        if isinstance(part.get("items"), dict):
            yield from below(part["items"], f"{prefix.removesuffix('.')}[].")

    yield from below(schema, "")


NAMED = ("layer", "layers", "some_layers", "optimizer", "schedule", "augmentation", "block", "reference")
"""What has pages of its own."""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a config, made once."""
    return json_schema()


@pytest.fixture(scope="module")
def keys(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the keys of a config, other than those of a checkpoint's interval, with their schemas."""
    return {path: part for path, part in config_keys(schema) if not path.startswith("train.checkpoint.every.")}


@pytest.fixture(scope="module")
def listed() -> str:
    """Return the list of layers."""
    return text("layers")


@pytest.mark.parametrize("topic", written())
def test_every_topic_prints(topic: str) -> None:
    """Each has a title, a line below it and a text, with nothing of Markdown's tables left."""
    title, line, gap, *rest = text(topic).splitlines()
    assert title == written()[topic].title
    assert line == "─" * len(title)
    assert gap == ""
    assert rest
    assert not any(shown.startswith(("|", "#", "```")) for shown in (title, *rest))


def test_the_list_of_topics() -> None:
    """Without a topic each is named with a line."""
    shown = text()
    for page in written().values():
        assert re.search(rf"^  {page.topic} +{re.escape(page.title)}$", shown, re.MULTILINE)


@pytest.mark.parametrize("topic", ["", *written(), "Conv2D", "train", "train.loss", "E022", "eval"])
@pytest.mark.parametrize("columns", WIDTHS)
def test_lines_fit_the_width(topic: str, columns: int) -> None:
    """No line is longer, but for code, which is there to be copied."""
    source = text(*filter(None, [topic]), "--markdown")
    code = [*re.findall(r"^ {4}.*", source, re.MULTILINE), *re.findall(r"```\w+\n(.*?)```", source, re.DOTALL)]
    copied = {line.strip() for part in code for line in part.splitlines()}
    lines = text(*filter(None, [topic]), columns=columns).splitlines()
    assert [line for line in lines if len(line) > columns and line.strip() not in copied] == []
    assert max(map(len, lines)) > columns / 2


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_has_a_page(name: str, listed: str, schema: dict[str, Any]) -> None:
    """It is in the list, and its own page has each argument with what the JSON Schema says of it."""
    assert f"\n{name}\n" in listed
    page = flowing(text(name))
    properties = schema["$defs"][name].get("properties", {}) if name in VOCABULARY else {}
    assert page.startswith(f"{name} (layers)")
    for argument, part in properties.items():
        assert f" {argument} {flowing(part['description']).replace('`', '')}" in page


def test_defaults_and_shapes_are_told() -> None:
    """Conv2D: two arguments are required, strides are 1, the initializer is Glorot's; the shape is there."""
    page = flowing(text("Conv2D"))
    assert "filters Number of output channels. Takes an integer, at least 1; required." in page
    assert "an integer, at least 1, or a list of 2 items of this kind; default [1, 1]." in page
    assert "Takes an initializer; default GlorotUniform." in page
    assert "Output shape: (ceil(height / strides)" in page
    assert "strides=[1, 1], padding=valid" in flowing(text("layers"))


def test_every_key_is_there(keys: dict[str, dict[str, Any]]) -> None:
    """`cnn help config` has each key, and with its description, in the order of the JSON Schema."""
    assert len(keys) > 35
    page = flowing(text("config", columns=120))
    places = [page.index(f" {path} ") for path in keys]
    assert len(set(places)) == len(keys)
    for path, part in keys.items():
        if "description" in part and path not in ("data", "train"):
            assert f" {path} {flowing(part['description'])}" in page


def test_a_key_by_its_path_or_its_end() -> None:
    """The whole path, an index in it, or the last name alone; a section shows the keys inside."""
    assert "Examples in one step. Takes an integer, at least 1; default 128." in flowing(text("train.batch_size"))
    assert text("batch_size") == text("train.batch_size")
    assert text("train.groups[0].layers") == text("train.groups[].layers")
    assert "label_smoothing" in text("train.loss")
    assert "  AdamW " in text("train.optimizer")


BASE: dict[str, Any] = {
    "name": "base",
    "data": {"source": "digits", "image_size": [32, 32], "channels": 1},
    "model": {"layers": [{"Conv2D": {"filters": 4, "kernel_size": 3}}, "Flatten", {"Dense": {"units": 10}}]},
}
"""What an example is added to."""
WITH_ARGUMENTS = [
    (family, name, argument)
    for family in ("optimizers", "schedules", "augmentation")
    for name, spec in FAMILIES[family].items()
    for argument in spec.model_fields
]


def example(page: str) -> dict[str, Any]:
    """Return the last example of a page in Markdown, as PyYAML reads it."""
    shown = re.findall(r"(?:^ {4}.*\n?)+", page, re.MULTILINE)
    return dict(yaml.safe_load(textwrap.dedent(shown[-1])))


def joined(base: Any, more: Any) -> Any:
    """Return a document with another laid over it."""
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return more
    return {**base, **{key: joined(base.get(key), value) for key, value in more.items()}}


def has(document: Any, path: list[str]) -> bool:
    """Say whether a document has a key; "groups[]" is any item of the list."""
    if not path:
        return True
    name, is_list = path[0].removesuffix("[]"), path[0].endswith("[]")
    if not isinstance(document, dict) or name not in document:
        return False
    return has(document[name][0] if is_list else document[name], path[1:])


def test_every_key_has_an_example_that_loads(keys: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """Its page shows a line with this very key, which can be part of a config."""
    assert set(KEYS) == set(keys)
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    for path in keys:
        shown = example(text(path, "--markdown"))
        assert has(shown, path.split(".")), path
        file = tmp_path / "example.yaml"
        file.write_text(yaml.safe_dump(joined(BASE, shown)), encoding="utf-8")
        load(file)


def test_examples_are_read_as_they_are_printed(tmp_path: Path) -> None:
    """Our own reader takes the longest example as it is shown, on several lines."""
    shown = re.findall(r"(?:^ {4}.*\n?)+", text("Muon", "--markdown"), re.MULTILINE)[-1]
    assert shown.count("\n") >= 3
    assert max(map(len, shown.splitlines())) <= 80
    file = tmp_path / "example.yaml"
    file.write_text(yaml.safe_dump(BASE) + textwrap.dedent(shown), encoding="utf-8")
    assert load(file).train.optimizer.type_name() == "Muon"


@pytest.mark.parametrize(("family", "name", "argument"), WITH_ARGUMENTS)
def test_every_argument_has_an_example_that_loads(
    family: str, name: str, argument: str, schema: dict[str, Any], tmp_path: Path
) -> None:
    """`cnn help SGD.momentum` has what it is and a line with it; so have optimizers, schedules and augmentations."""
    page = text(f"{name}.{argument}", "--markdown")
    assert flowing(schema["$defs"][name]["properties"][argument]["description"]) in flowing(page)
    shown = example(page)
    file = tmp_path / "example.yaml"
    file.write_text(yaml.safe_dump(joined(BASE, shown)), encoding="utf-8")
    config = load(file)
    thing = {
        "optimizers": config.train.optimizer,
        "schedules": config.train.schedule,
        "augmentation": next(iter(config.data.augmentation), None),
    }[family]
    assert thing is not None
    assert thing.type_name() == name
    assert argument in thing.model_fields_set


def test_an_argument_by_its_whole_path() -> None:
    """As it stands in a config; layers too."""
    assert text("train.optimizer.SGD.momentum") == text("SGD.momentum")
    assert text("data.augmentation[0].RandomFlip.mode") == text("RandomFlip.mode")
    assert "Number of output channels." in text("Conv2D.filters")
    assert isinstance(cnn("help", "SGD.beta_1").exception, CnnError)


def test_every_code_is_there_and_has_the_page_of_explain() -> None:
    """`cnn help errors` lists all; one of them is what `cnn explain` prints, in small letters as well."""
    shown = text("errors")
    for code, page in pages().items():
        assert f"  {code}  {page.title}\n" in shown
    assert text("e012") == cnn("explain", "E012").stdout
    assert text("E012", "--markdown") == cnn("explain", "E012", "--markdown").stdout


def test_commands_are_those_of_the_help_option() -> None:
    """`cnn help commands` and `cnn --help` have the same panels, commands and sentences."""
    ours = flowing(text("commands"))
    theirs = flowing(re.sub("[│╭╮╰╯─]", " ", cnn("--help").stdout))
    for panel, names in COMMANDS.items():
        assert f" {panel} cnn {names[0]} " in ours
        assert f" {panel} {names[0]} " in theirs
    for name in PANELS:
        sentence = flowing((function_of(name).__doc__ or "").split("\n\n")[0])
        assert f" cnn {name} {sentence}" in ours
        assert f" {name} {sentence}" in theirs


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_the_options_of_its_help(name: str) -> None:
    """`cnn help train` names each option that `cnn train --help` does, and no other."""
    option = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
    table = text(*name.split()).split(" (config)\n")[0]
    ours = set(option.findall("\n".join(re.findall(r"^  (?:-|--).*?(?:  |$)", table, re.MULTILINE))))
    theirs = re.sub("[│╭╮╰╯]", " ", cnn(*name.split(), "--help", columns=200).stdout)
    listed = set(option.findall("\n".join(re.findall(r"^ +(?:\* +)?(?:-).*?(?=  [A-Z<\[]|$)", theirs, re.MULTILINE))))
    assert ours == listed - {"--help"}


def test_a_name_with_two_meanings_shows_both() -> None:
    """`train` is a command and a section; Constant a schedule and an initializer."""
    assert "cnn train CONFIG" in text("train")
    assert "train (config)" in text("train")
    assert "Constant (schedules)" in text("Constant")
    assert "Constant (initializers)" in text("Constant")


@pytest.mark.parametrize(("word", "near"), [("Conv2", "Conv2D"), ("layer", "layers"), ("lr", "learning_rate")])
def test_an_unknown_topic(word: str, near: str) -> None:
    """A known error, with exit code 1 and the nearest topic."""
    error = cnn("help", word).exception
    assert isinstance(error, CnnError)
    assert error.exit_code == 1
    assert error.message == f'There is no topic "{word}". Did you mean "{near}"?'


def test_json() -> None:
    """The topics, or the pages of a topic with their Markdown."""
    topics = json.loads(text("--json"))["topics"]
    assert [topic["topic"] for topic in topics] == list(written())
    assert set(topics[0]) == {"topic", "title"}
    (page,) = json.loads(text("E012", "--json"))["pages"]
    assert page == {"topic": "E012", "title": "E012 · Unknown argument", "text": pages()["E012"].body}
    assert [each["topic"] for each in json.loads(text("train", "--json"))["pages"]] == ["train", "train"]
