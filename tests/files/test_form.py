"""What JSON documents must look like, and checksums inside them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cnncli.files.form import (
    Form,
    Unexpected,
    listed,
    mapped,
    matching,
    number,
    one_of,
    optional,
    real,
    record,
    share,
    text,
    whole,
)
from cnncli.files.read import DEEPEST, parse_json
from cnncli.files.seal import KEY, sealed, unsealed

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        (whole(1, 4), [1, 4], [0, 5, True, 1.0, "1", None, NAN]),
        (whole(), [0, 2**53], [-1, 2**53 + 1, 10**5000]),
        (number(), [0, -1e308, 1.5], [NAN, INFINITY, -INFINITY, 10**400, True, "1", None, []]),
        (share, [0, 1, 0.5, 1.0000000002], [-0.1, 1.1, NAN, True, None]),
        (real, [NAN, INFINITY, 3], [True, None, "3"]),
        (text(1, 3), ["a", "abc"], ["", "abcd", 5, None]),
        (one_of("a", 1, None), ["a", 1, None], ["b", True, 1.0, 2]),
        (optional(text()), [None, ""], [5]),
        (matching(re.compile("a+")), ["a", "aa"], ["ab", "", 1]),
        (listed(whole(), 1, 2), [[1], [1, 2]], [[], [1, 2, 3], [-1], {}, "ab"]),
        (mapped(whole()), [{}, {"a": 1}], [{"a": "1"}, [], None]),
        (record({"a": whole()}, {"b": text()}), [{"a": 1}, {"a": 1, "b": "", "c": []}], [{}, {"a": 1, "b": 2}, [], 5]),
    ],
)
def test_forms(form: Form, right: list[Any], wrong: list[Any]) -> None:
    """Truth values are no numbers, and NaN is in no range."""
    for value in right:
        form(value)
    for value in wrong:
        with pytest.raises(Unexpected):
            form(value)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"a": {"b": [1, "x"]}}, "a.b[1] is 'x', expected a whole number from 0 to 9"),
        ({"a": {}}, "a.b is missing, expected a list"),
        ({"a": {"b": [10**30]}}, "a.b[0] is a whole number beyond 2^53, expected a whole number from 0 to 9"),
        ({"a": {"b": {"c": 1}}}, "a.b is a mapping of 1, expected a list"),
        ({"a": None}, "a is null, expected a mapping"),
        ([], "it is an empty list, expected a mapping"),
    ],
)
def test_what_is_told(document: Any, told: str) -> None:
    """The key, what it holds, and what was expected; nothing of it is long."""
    form = record({"a": record({"b": listed(whole(0, 9))})})
    with pytest.raises(Unexpected) as caught:
        form(document)
    assert str(caught.value) == told
    with pytest.raises(Unexpected) as caught:
        form({"a": "x" * 100_000})
    assert len(str(caught.value)) < 200


def test_a_seal_tells_every_change() -> None:
    """But spaces and the order of keys; a document without one is taken as it is."""
    document = {"a": [1, 2.5, None], "b": {"10": "ö", "2": "\udcff"}}
    kept = json.loads(json.dumps(sealed(document), indent=3))
    assert unsealed(dict(reversed(kept.items()))) == document
    assert unsealed(document) == document
    for change in ({"a": [1, 2.5]}, {"b": {}}, {"c": 1}, {KEY: "0" * 64}):
        with pytest.raises(ValueError, match="its own checksum"):
            unsealed({**kept, **change})


@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_nesting_is_bounded(pair: str) -> None:
    """A document as deep as allowed is read; a deeper one is refused, however deep, and also between short lists."""
    begin, end = (pair[0], pair[1]) if pair == "[]" else ('{"a":', "}")
    assert parse_json(begin * DEEPEST + "1" + end * DEEPEST)
    for depth in (DEEPEST + 1, 500, 100_000):
        with pytest.raises(ValueError, match="nested"):
            parse_json(begin * depth + "1" + end * depth)
    assert len(parse_json("[" + ",".join(["[]"] * 10_000) + "]")) == 10_000
    with pytest.raises(ValueError, match="nested"):
        parse_json("[[]," * (DEEPEST + 1) + "1" + "]" * (DEEPEST + 1))
