"""The config language as a whole: extends, --set, references, blocks, origins, and writing a config back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cnncli.config import zoo
from cnncli.config.build import _useful_first as useful_first
from cnncli.config.dump import dump, dump_document, resolved
from cnncli.config.language import references
from cnncli.config.load import load, load_document, loads
from cnncli.config.schema.schema import Config
from cnncli.config.yaml import parser
from cnncli.config.yaml.tree import plain
from cnncli.errors import ConfigError, Problem

HEAD = "name: example\ndata: {source: mnist, image_size: [28, 28]}\n"
BODY = """
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, name: stem}
    - Flatten
    - Dense: {units: 10}
train:
  epochs: 7
  optimizer: {Adam: {learning_rate: 0.01, beta_1: 0.8}}
"""


def codes(text: str, *overrides: str) -> list[str]:
    """Return the codes of a bad config's problems."""
    with pytest.raises(ConfigError) as caught:
        loads(text, "test.yaml", overrides)
    return [problem.code for problem in caught.value.problems]


def filters(config: Config) -> list[int]:
    """Return the filters of all convolutions."""
    return [node.layer.filters for node in config.nodes if hasattr(node.layer, "filters")]


def test_a_config_extends_another_key_by_key(tmp_path: Path) -> None:
    """Mappings are merged, lists and values replaced."""
    (tmp_path / "base.yaml").write_text(HEAD + BODY, encoding="utf-8")
    (tmp_path / "child.yaml").write_text(
        "extends: base.yaml\nname: child\ndata: {image_size: [14, 14]}\ntrain: {optimizer: {Adam: {beta_2: 0.9}}}\n",
        encoding="utf-8",
    )
    config = load(tmp_path / "child.yaml")
    assert (config.name, config.data.source, config.data.image_size) == ("child", "mnist", (14, 14))
    assert config.train.epochs == 7
    assert config.train.optimizer.model_dump(include={"beta_1", "beta_2"}) == {"beta_1": 0.8, "beta_2": 0.9}


def test_another_optimizer_replaces_the_one_extended(tmp_path: Path) -> None:
    """A single-key mapping names what it is: two names are not merged."""
    (tmp_path / "base.yaml").write_text(HEAD + BODY, encoding="utf-8")
    child = "extends: base.yaml\ntrain: {optimizer: {SGD: {momentum: 0.9}}, checkpoint: {every: {steps: 5}}}\n"
    (tmp_path / "child.yaml").write_text(child, encoding="utf-8")
    assert load(tmp_path / "child.yaml").train.optimizer.type_name() == "SGD"


def test_extends_takes_a_chain_of_files_and_names_of_the_zoo(tmp_path: Path) -> None:
    """A child of a child of a network that comes with cnncli."""
    (tmp_path / "one.yaml").write_text("extends: lenet5\nseed: 5\n", encoding="utf-8")
    folder = tmp_path / "deeper"
    folder.mkdir()
    (folder / "two.yaml").write_text("extends: ../one.yaml\nname: two\n", encoding="utf-8")
    config = load(folder / "two.yaml")
    assert (config.name, config.seed) == ("two", 5)
    assert config.nodes == load("lenet5").nodes


def test_configs_that_extend_each_other_are_named(tmp_path: Path) -> None:
    """A circle is reported with its files."""
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    (problem,) = caught.value.problems
    assert problem.code == "E021"
    assert "a.yaml → b.yaml → a.yaml" in problem.message


def test_a_name_that_no_file_can_have_is_no_file(tmp_path: Path) -> None:
    """Systems refuse names of more than 255 characters, and zeros in them."""
    for name in ("a" * 300, "'a\\0b'", "..", "/"):
        (tmp_path / "child.yaml").write_text(f"extends: {name}\n", encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "child.yaml")
        assert caught.value.problems[0].code == "E020"
    with pytest.raises(ConfigError):
        load("a" * 300)


def test_a_problem_in_the_extended_file_is_placed_there(tmp_path: Path) -> None:
    """The place is in the file in which the value was written."""
    (tmp_path / "base.yaml").write_text(HEAD + BODY.replace("epochs: 7", "epochs: seven"), encoding="utf-8")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "child.yaml")
    (problem,) = caught.value.problems
    assert (Path(problem.file or "").name, problem.line) == ("base.yaml", 10)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.epochs=3", "epochs", 3),
        ("train.clip_norm=1e-2", "clip_norm", 0.01),
        ("train.early_stopping={patience: 3}", "early_stopping.patience", 3),
        ("train.early_stopping.patience=4", "early_stopping.patience", 4),
        ("train.schedule=CosineDecay", "schedule.alpha", 0.0),
        ("train.schedule.CosineDecay.alpha=0.1", "schedule.alpha", 0.1),
        ("train.optimizer.Adam.learning_rate=0.5", "optimizer.learning_rate", 0.5),
        ("train.optimizer.SGD.momentum=0.5", "optimizer.momentum", 0.5),
        ("train.checkpoint.every.steps=5", "checkpoint.every", {"steps": 5}),
    ],
)
def test_set_replaces_a_value_and_adds_what_is_missing(override: str, path: str, value: object) -> None:
    """The value is YAML, read by the same parser, and another name takes an old one's place."""
    found: object = loads(HEAD + BODY, "test.yaml", [override]).train
    for step in path.split("."):
        found = getattr(found, step)
    assert found == value


def test_set_reaches_into_layers_and_bare_names() -> None:
    """Lists count from 0; a bare name can be given an argument."""
    config = loads(HEAD + BODY, "test.yaml", ["model.layers[0].Conv2D.filters=5", "model.layers[1].Flatten.name=flat"])
    assert filters(config) == [5]
    assert config.nodes[1].name == "flat"


def test_later_sets_win() -> None:
    """Overrides are applied in their order."""
    assert loads(HEAD + BODY, "test.yaml", ["train.epochs=3", "train.epochs=4"]).train.epochs == 4


@pytest.mark.parametrize(
    ("override", "code", "column"),
    [
        ("train.epochs", "E025", 1),
        ("=3", "E025", 1),
        ("a b=3", "E025", 1),
        ("model.layers[3]=Flatten", "E026", 13),
        ("name.x=3", "E026", 6),
        ("data[0]=3", "E026", 5),
        ("model.layers[0].Conv1D.filters=3", "E026", 17),
        ("extends=lenet5", "E026", 1),
        ("train.epochs=[1", "E003", 14),
        ("train.epochs=1e999", "E008", 14),
        ("train.epochs=0", "E015", 14),
        ("train.epoch=3", "E010", 7),
    ],
)
def test_a_wrong_set_is_placed_in_its_own_text(override: str, code: str, column: int) -> None:
    """The caret points into what was written on the command line."""
    with pytest.raises(ConfigError) as caught:
        loads(HEAD + BODY, "test.yaml", [override])
    (problem,) = caught.value.problems
    assert (problem.code, problem.file, problem.line, problem.column) == (code, "--set", 1, column)
    assert problem.excerpt == override


def test_references_stand_for_any_value_also_of_set() -> None:
    """`${…}` is resolved after --set, in lists, in texts and through one another."""
    text = """
values: {width: 8, double: ["${values.width}", 16], side: 28}
name: net_${values.width}_${train.epochs}
data: {source: mnist, image_size: ["${values.side}", "${values.side}"]}
model:
  layers:
    - Conv2D: {filters: "${values.double[0]}", kernel_size: 3}
    - Conv2D:
        filters: ${values.double[1]}
        kernel_size: 3
    - Flatten
    - Dense: {units: 10}
train: {epochs: 2}
"""
    config = loads(text, "test.yaml", ["values.width=5"])
    assert config.name == "net_5_2"
    assert config.data.image_size == (28, 28)
    assert filters(config) == [5, 16]
    assert "values" not in config.document


def test_two_dollars_stand_for_a_reference_as_text() -> None:
    """`$${` is `${`, and is written back so."""
    text = HEAD.replace("source: mnist", 'source: folder, path: "a$${b}"') + BODY
    config = loads(text, "test.yaml")
    assert config.data.path == "a${b}"
    assert loads(dump(config)) == config


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ("{a: '${values.b}', b: '${values.a}'}", "E023"),
        ("{a: '${values.a}'}", "E023"),
        ("{a: '${values.b}'}", "E022"),
        ("{a: '${}'}", "E022"),
        ("{a: [1], b: 'x${values.a}'}", "E022"),
        ("{a: '${values}'}", "E023"),
    ],
)
def test_references_that_lead_nowhere_or_in_a_circle(values: str, code: str) -> None:
    """Each is reported, used or not."""
    assert codes(f"values: {values}\n{HEAD}{BODY}") == [code]


def test_references_cannot_mean_too_much() -> None:
    """Doubling twenty times is refused before it is done."""
    lines = [f"  v{i}: ['${{values.v{i - 1}}}', '${{values.v{i - 1}}}']" for i in range(1, 30)]
    assert codes("values:\n  v0: [1, 1]\n" + "\n".join(lines) + "\n" + HEAD + BODY) == ["E007"]


BLOCKS = """
model:
  blocks:
    conv:
      parameters: [filters, {size: 3}]
      layers: [{Conv2D: {filters: $filters, kernel_size: $size, padding: same}}, ReLU]
    twice:
      parameters: [filters]
      layers: [{conv: {filters: $filters}}, {Repeat: {times: 2, layers: [{conv: {filters: $filters, size: [1, 3]}}]}}]
  layers:
    - conv: {filters: 4}
    - twice: {filters: 6}
    - Parallel: [[{conv: {filters: 2}}], []]
    - Residual: {layers: [{conv: {filters: 8}}], shortcut: []}
    - GlobalAveragePooling2D
    - Dense: {units: 10}
"""


def test_blocks_are_expanded_with_their_parameters() -> None:
    """Blocks use blocks, inside repetitions and branches, with defaults and lists as arguments."""
    config = loads(HEAD + BLOCKS)
    assert filters(config) == [4, 6, 6, 6, 2, 8]
    assert [n.layer.kernel_size for n in config.nodes if hasattr(n.layer, "kernel_size")][1:3] == [(3, 3), (1, 3)]


def test_a_value_from_a_parameter_is_placed_at_the_use_and_at_the_definition() -> None:
    """The place is where the value was written; the message tells where it goes."""
    with pytest.raises(ConfigError) as caught:
        loads(HEAD + BLOCKS.replace("conv: {filters: 4}", "conv: {filters: four}"), "test.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.excerpt) == (13, 23, "    - conv: {filters: four}")
    assert problem.path == "model.layers[0].conv.layers[0].Conv2D.filters"
    assert "See also test.yaml:8:35." in problem.message


def test_a_wrong_layer_of_a_block_is_reported_once_with_its_use() -> None:
    """However often the block is used."""
    with pytest.raises(ConfigError) as caught:
        loads(HEAD + BLOCKS.replace("padding: same", "padding: some"), "test.yaml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("E016", 8)
    assert problem.hint == "In block conv, used at test.yaml:13:7."


def test_a_shape_error_inside_a_block_is_placed_in_its_definition() -> None:
    """The chain of sizes leads there."""
    with pytest.raises(ConfigError) as caught:
        loads(HEAD + BLOCKS.replace("padding: same", "strides: 9"), "test.yaml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("E040", 8)
    assert "input 28×28×1 → conv2d 3×3×4" in problem.message


def test_blocks_without_end_are_reported() -> None:
    """A block that uses itself, blocks that double without end, and layers nested without end."""
    text = HEAD + "model:\n  blocks:\n    a: {layers: [b]}\n    b: {layers: [a]}\n  layers: [a]\n"
    assert codes(text) == ["E028"]
    doubling = "".join(f"    b{i}: {{layers: [b{i + 1}, b{i + 1}]}}\n" for i in range(30))
    text = f"{HEAD}model:\n  blocks:\n{doubling}    b30: {{layers: [ReLU]}}\n  layers: [b0]\n"
    assert codes(text) == ["E029"]


def test_every_value_has_an_origin(tmp_path: Path) -> None:
    """A file and line, --set, or the default."""
    (tmp_path / "base.yaml").write_text(HEAD + BLOCKS, encoding="utf-8")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nseed: 3\n", encoding="utf-8")
    origins = load(tmp_path / "child.yaml", ["train.epochs=2"]).origins
    assert origins.describe("seed") == f"{tmp_path / 'child.yaml'}:2"
    assert origins.describe("data.source") == f"{tmp_path / 'base.yaml'}:2"
    assert origins.describe("train.epochs") == "--set"
    assert origins.describe("train.batch_size") == "default"
    place = origins.nearest("model.layers[1].twice.layers[0].conv.layers[0].Conv2D.filters")
    assert (place.line, place.column) == (14, 24)
    place = origins.nearest("model.layers[1].twice.layers[0].conv.layers[0].Conv2D")
    assert (place.line, place.column) == (8, 17)


@pytest.mark.parametrize("name", zoo.names())
def test_a_config_written_and_read_again_is_the_same(name: str) -> None:
    """Also with the defaults of all layers, and writing it again changes nothing."""
    config = load(name)
    assert loads(dump(config)) == config
    assert load_document(config.document) == config
    assert dump(loads(dump(config))) == dump(config)
    assert loads(resolved(config)).nodes == config.nodes


def test_a_stored_config_has_every_default_of_data_and_train() -> None:
    """A later version with other defaults would not change the run."""
    config = loads(HEAD + BODY)
    assert config.document["train"]["batch_size"] == 128
    assert config.document["train"]["optimizer"]["Adam"]["amsgrad"] is False
    assert config.document["data"]["resize"] == {"method": "bilinear", "fit": "stretch"}


def test_the_resolved_text_says_where_values_come_from() -> None:
    """Every line has its origin as a comment."""
    text = resolved(loads(HEAD + BODY, "test.yaml", ["train.epochs=9"]))
    origins = {line.partition("#")[0].strip(): line.partition("# ")[2] for line in text.splitlines()}
    assert origins["epochs: 9"] == "--set"
    assert origins["batch_size: 128"] == "default"
    assert origins["kernel_size: 3"] == "test.yaml:6"
    assert origins["padding: valid"] == "default"


@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc"))))
@example(text="no")
@example(text="1e-3")
@example(text="012")
@example(text="null")
@example(text="a: b")
@example(text="- x")
@example(text="#x")
@example(text=" x ")
@example(text="x\ny")
@example(text="${a}")
@example(text="$${a}")
@example(text="\u2028")
@example(text="...")
@settings(max_examples=200, deadline=None)
def test_texts_are_written_so_that_they_are_read_as_texts(text: str) -> None:
    """Whatever they look like, on a line of their own and in braces."""
    written = dump_document({"a": text, "b": {"c": {"d": [text]}}})
    tree = references.resolve(parser.parse(written, "test.yaml"))
    assert plain(tree) == {"a": text, "b": {"c": {"d": [text]}}}


def test_all_problems_of_a_file_are_reported_at_once() -> None:
    """Keys, values, layers and shapes."""
    text = HEAD.replace("28]", "28], x: 1") + BODY.replace("filters: 8, kernel_size: 3", "filters: 8, kernel_size: 33")
    assert codes(text.replace("epochs: 7", "epochs: 0").replace("units", "unit")) == ["E010", "E012", "E015", "E040"]


def test_problems_that_may_follow_from_others_come_after_them() -> None:
    """First what is wrong by itself, then names and blocks that are missing, then shapes; each by its place, once."""
    codes = ["E043", "E042", "E041", "E040", "E032", "E019", "E013", "E011", "E012", "E001"]
    problems = tuple(Problem(code, "message", "a.yaml", line) for line, code in enumerate(codes, start=1))
    others = (
        Problem("E012", "message", "a.yaml", 9, 5),
        Problem("E012", "message", None, 3),
        Problem("E043", "message", "a.yaml", 1),
    )
    found = useful_first((*problems, *others))
    assert [(problem.code, problem.line) for problem in found] == [
        ("E012", 3),
        ("E012", 9),
        ("E012", 9),
        ("E001", 10),
        *[(code, codes.index(code) + 1) for code in ("E019", "E013", "E011", "E043", "E042", "E041", "E040", "E032")],
    ]


def test_no_more_than_a_hundred_problems_are_reported() -> None:
    """The search ends when there is enough to mend, and soon."""
    assert len(codes(HEAD + "model:\n  layers:\n" + "    - Flaten\n" * 5000)) == 100
    assert len(codes(HEAD + BODY + "".join(f"x{i}: 1\n" for i in range(5000)))) == 100


def test_a_file_wins_over_a_network_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lenet5` in the working directory is meant."""
    monkeypatch.chdir(tmp_path)
    assert load("lenet5").name == "lenet5"
    (tmp_path / "lenet5").write_text(HEAD + BODY, encoding="utf-8")
    assert load("lenet5").name == "example"


def test_a_missing_file_is_reported_with_the_nearest_name() -> None:
    """A misspelt network of the zoo."""
    with pytest.raises(ConfigError) as caught:
        load("lenet55")
    (problem,) = caught.value.problems
    assert problem.code == "E001"
    assert "lenet5" in problem.message


def test_an_error_says_its_first_problem_where_nothing_prints_it() -> None:
    """In a notebook or a log the message alone has the place and what is wrong."""
    with pytest.raises(ConfigError, match=r'test.yaml:10:3: train.epoch: train has no key "epoch".*\(and 1 more\)'):
        loads(HEAD + BODY.replace("epochs", "epoch").replace("beta_1", "beta"), "test.yaml")


def test_problems_have_a_file_even_without_a_line_of_text(tmp_path: Path) -> None:
    """A file that is no text has a place, too."""
    (tmp_path / "x.yaml").write_bytes(b"name: x\nb: \xff\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "x.yaml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("E002", 2, 4)
    (tmp_path / "x.yaml").write_bytes(b"#" * (parser.MAX_BYTES + 1))
    for name, line in (("x.yaml", 1), (".", None)):  # too large; a folder
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / name)
        (problem,) = caught.value.problems
        assert (problem.file, problem.line, problem.column) == (str(tmp_path / name), line, line)


def test_configs_of_older_runs_are_read() -> None:
    """Their config.yaml says `distribute: none`, as all did; where a run computes is now said on the command line."""
    now, older = loads(HEAD + BODY, "now.yaml"), loads(f"{HEAD}{BODY}  distribute: none\n", "older.yaml")
    assert older == now.model_copy(update={"origins": older.origins})
    assert "distribute" not in older.document["train"]
    assert loads(HEAD + BODY, "now.yaml", ["train.distribute=none"]).train == now.train
    for value in ("mirrored", "multi_worker", "null", "[none]", "2"):
        assert codes(HEAD + BODY, f"train.distribute={value}") == ["E010"]
