"""What YAML means here: the numbers of YAML 1.2, one document of plain values, and a named error for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import yaml as pyyaml

from cnncli.config.yaml import parser
from cnncli.config.yaml.tree import Mapping, plain
from cnncli.errors import ConfigError, Problem


def value_of(text: str) -> object:
    """Read a text as the value of a key."""
    return plain(parser.parse(f"key: {text}\n", "test.yaml"))["key"]


def problem_of(text: str) -> Problem:
    """Read a text that is none, and return its problem."""
    with pytest.raises(ConfigError) as caught:
        parser.parse(text, "test.yaml")
    (problem,) = caught.value.problems
    return problem


def processor_time(work: Callable[[], object]) -> float:
    """Return the least seconds of this process's own processor time, of three: other processes do not count."""

    def once() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return min(once() for _ in range(3))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e5", 100_000.0),
        ("-1.5E+2", -150.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("2026-99-99", "2026-99-99"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1e", "1e"),
        ("'1e-3'", "1e-3"),
        ('"true"', "true"),
        ("é😀", "é😀"),
        ("[1, [2, x]]", [1, [2, "x"]]),
        ("{a: 1, b: {c: no}}", {"a": 1, "b": {"c": "no"}}),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    """Numbers, truth values and texts, where YAML 1.1 guesses."""
    read = value_of(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "E004", (3, 1)),
        ("a: !!timestamp x\n", "E005", (1, 4)),
        ("a: !!python/object/apply:os.system [x]\n", "E005", (1, 4)),
        ("a: !own x\n", "E005", (1, 4)),
        ("<<: {a: 1}\n", "E005", (1, 1)),
        ("a: 1\n---\nb: 2\n", "E005", (2, 1)),
        ("1: a\n", "E006", (1, 1)),
        ("true: a\n", "E006", (1, 1)),
        ("? [a, b]\n: c\n", "E006", (1, 3)),
        ("? {a: b}\n: c\n", "E006", (1, 3)),
        ("a: " + "9" * 5000, "E008", (1, 4)),
        ("a: .inf\n", "E008", (1, 4)),
        ("a: -.INF\n", "E008", (1, 4)),
        ("a: .nan\n", "E008", (1, 4)),
        ("a: 1e999\n", "E008", (1, 4)),
        ("a: *b\n", "E003", (1, 4)),
        ("a: &a [*a]\n", "E003", (1, 8)),
        ("a: \x00\n", "E002", (1, 4)),
        ("a: \x1b[31m\n", "E002", (1, 4)),
        ('a: "\\x1b[31m"\n', "E002", (1, 4)),
        ('a: "\\uD800"\n', "E002", (1, 4)),
        ('a: "\\U99999999"\n', "E003", (1, 7)),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", "E003", (1, 9)),
        ("[" * 50_000, "E007", (1, 66)),
        ("a: " + "{a: " * 50_000, "E007", (1, 257)),
        ("- " * 50_000, "E007", (1, 131)),
        ("a: " + "x" * parser.MAX_BYTES, "E007", (1, 1)),
    ],
)
def test_what_is_refused_has_a_code_and_a_place(text: str, code: str, place: tuple[int, int]) -> None:
    """Each trap of YAML ends in a named error with file, line and column."""
    problem = problem_of(text)
    assert (problem.code, problem.line, problem.column) == (code, *place)
    assert problem.file == "test.yaml"


def test_anchors_are_read_and_keep_their_place() -> None:
    """An alias is the value of its anchor."""
    assert plain(parser.parse("a: &x [1, 2]\nb: *x\n", "test.yaml")) == {"a": [1, 2], "b": [1, 2]}


def test_a_small_file_that_means_a_billion_values_is_refused_at_once() -> None:
    """What aliases repeat is counted, not made."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    text = "\n".join(lines)
    assert len(text) < 600
    ordinary = "\n".join(f"a{i}: [1, 1, 1, 1, 1, 1, 1, 1]" for i in range(20))
    assert problem_of(text).code == "E007"
    assert processor_time(lambda: problem_of(text)) < 10 * processor_time(lambda: parser.parse(ordinary, "test.yaml"))


def test_every_value_knows_its_line_column_and_length() -> None:
    """Places count from 1, also behind a byte order mark and on lines that end in other ways."""
    tree = parser.parse("\ufeffa: 1\r\nbc:\r\n  - x\n  - {d: 'ef'}\n", "test.yaml")
    assert isinstance(tree, Mapping)
    entry = tree.entries["bc"]
    assert (entry.key.line, entry.key.column, entry.key.length) == (2, 1, 2)
    item = entry.value.items[1].entries["d"].value  # type: ignore[union-attr]
    assert (item.origin.line, item.origin.column, item.origin.length) == (4, 9, 4)
    assert item.origin.excerpt == "  - {d: 'ef'}"


def test_the_problem_names_the_key_that_is_being_read() -> None:
    """A syntax error deep inside says where in the config."""
    problem = problem_of("model:\n  layers:\n    - Flatten\n    - Conv2D: {filters: 3, kernel_size: [3, 3}\n")
    assert problem.path == "model.layers[1].Conv2D.kernel_size"


def test_time_grows_with_the_length_not_with_its_square() -> None:
    """Four times the text takes less than eight times as long."""
    short, long = ("layers:\n" + "  - Conv2D: {filters: 3, kernel_size: 3}\n" * number for number in (300, 1200))
    assert processor_time(lambda: parser.parse(long, "test.yaml")) < 8 * processor_time(
        lambda: parser.parse(short, "test.yaml")
    )


def test_plain_values_are_read_as_pyyaml_reads_them() -> None:
    """The faster scanner sees the same text as PyYAML's own, shown on a text with all kinds of scalars."""
    text = """
a: plain text with spaces   # a comment
"b b": 'single ''quoted'''
c: "double \\"quoted\\" \\u00e9"
d: |
  literal
    lines
e: >-
  folded
  lines
f:
- one
-
  two: [x, "y, z", {k: v}]
g: several
  lines
"""
    assert plain(parser.parse(text, "test.yaml")) == pyyaml.safe_load(text)
