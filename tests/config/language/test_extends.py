"""What a config says that extends another: what remains of it is the inverse of merging."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cnncli.config.dump import dump_document
from cnncli.config.language.extends import merge, remainder
from cnncli.config.yaml.parser import parse
from cnncli.config.yaml.tree import plain

_KEYS = st.sampled_from(["train", "optimizer", "Adam", "SGD", "rate"])
_VALUES = st.recursive(
    st.integers(0, 2) | st.lists(st.integers(0, 1), max_size=2),
    lambda inner: st.dictionaries(_KEYS, inner, min_size=1, max_size=3),
)
_DOCUMENTS = st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4)


def merged(below: dict[str, Any], above: dict[str, Any]) -> Any:
    """Return two configs merged, by way of their YAML."""
    return plain(merge(*(parse(dump_document(each), "test.yaml") for each in (below, above))))


@given(_DOCUMENTS, _DOCUMENTS)
@example({"train": {"optimizer": {"Adam": 0, "SGD": 1}}}, {"train": {"optimizer": {"Adam": 0, "SGD": 0}}})
def test_merging_what_remains_gives_the_other_config(below: dict[str, Any], changed: dict[str, Any]) -> None:
    """Of a config that merging can make, the remainder is never more than was merged, and gives that config again."""
    above = merged(below, changed)
    rest = remainder(below, above)
    assert rest is not None
    assert (merged(below, rest) if rest else below) == above
    assert rest.keys() <= changed.keys()


def test_a_key_that_is_missing_cannot_be_said() -> None:
    """Merging removes nothing, but for the one name of an optimizer."""
    assert remainder({"train": {"epochs": 3}}, {"train": {"seed": 1}}) is None
    sgd = {"train": {"optimizer": {"SGD": {"momentum": 0.9}}, "epochs": 3}}
    adam = {"train": {"optimizer": {"Adam": {}}, "epochs": 3}}
    assert remainder(sgd, adam) == {"train": {"optimizer": {"Adam": {}}}}
