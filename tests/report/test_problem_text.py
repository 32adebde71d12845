"""Problems as text: the caret under what is meant, whatever the line looks like."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cnncli.errors import Problem
from cnncli.report.problems import WIDTH, print_problems, problem_text, problems_text


def problem(**fields: object) -> Problem:
    """Return a problem of the example config."""
    known = {
        "code": "E012",
        "message": 'Conv2D has no argument "filter". Did you mean "filters"?',
        "file": "configs/lenet.yaml",
        "line": 14,
        "column": 16,
        "path": "model.layers[3].Conv2D.filter",
        "hint": "Arguments of Conv2D: filters, kernel_size",
        "excerpt": "    - Conv2D: {filter: 6, kernel_size: 5}",
        "length": 6,
    }
    return Problem(**{**known, **fields})  # type: ignore[arg-type]


def test_a_problem_is_printed_as_a_compiler_prints_it() -> None:
    """Place, path and code; message; excerpt with a caret; what to do."""
    assert problem_text(problem()) == (
        "configs/lenet.yaml:14:16  model.layers[3].Conv2D.filter                                         E012\n"
        '  Conv2D has no argument "filter". Did you mean "filters"?\n'
        "     14 |     - Conv2D: {filter: 6, kernel_size: 5}\n"
        "        |                ^^^^^^\n"
        "  Arguments of Conv2D: filters, kernel_size"
    )


def test_the_caret_stands_under_its_word_on_a_long_line() -> None:
    """The line is cut around the caret."""
    for start in (0, 10, 60, 200, 390):
        excerpt = "x" * start + "WORD" + "y" * (400 - start)
        lines = problem_text(problem(excerpt=excerpt, column=start + 1, length=4)).splitlines()
        text, caret = lines[2], lines[3]
        assert len(text) <= WIDTH
        assert text[caret.index("^") : caret.rindex("^") + 1] == "WORD"


def test_wide_characters_push_the_caret() -> None:
    """A character of two columns counts twice."""
    lines = problem_text(problem(excerpt="name: 数字 x", column=10, length=1)).splitlines()
    assert lines[3].index("^") - lines[2].index("name") == 11


def test_nothing_printed_can_move_the_cursor() -> None:
    """Escapes and other control characters of a file are shown as such."""
    text = problem_text(problem(excerpt="a: \x1b[31m\x07\ttab", message="read \x1b[2J", path="a\x1bb", file="x\r.yaml"))
    assert not {"\x1b", "\x07", "\r", "\t"} & set(text)


def test_a_problem_without_a_place_is_printed_without_an_excerpt() -> None:
    """A missing file has a name and nothing else."""
    assert problem_text(problem(line=None, column=None, excerpt=None, hint=None, path="")).splitlines()[1:] == [
        '  Conv2D has no argument "filter". Did you mean "filters"?'
    ]


def test_colours_change_nothing_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rich console prints what the plain text is, markup in it left alone."""
    monkeypatch.delenv("COLUMNS", raising=False)
    found = [problem(message="[bold]not markup[/bold]"), problem()]
    plain, coloured = io.StringIO(), io.StringIO()
    print_problems(found, Console(file=plain, width=60))
    print_problems(found, Console(file=coloured, width=60, force_terminal=True, color_system="standard"))
    assert plain.getvalue() == problems_text(found) + "\n"
    assert "\x1b[" in coloured.getvalue()


def test_a_caret_is_as_long_as_what_it_points_at() -> None:
    """At least one, and no longer than what is shown of the line."""
    for length, carets in ((0, 1), (1, 1), (2, 2), (3, 3), (99, 3)):
        found = problem(column=4, excerpt="a: bcd", length=length, hint=None)
        assert problem_text(found).splitlines()[-1] == " " * 7 + " |    " + "^" * carets
