"""The page of a sweep: whole, closed to the outside, and saying what its trials say."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
import yaml

from cnncli.report.html import VOID
from cnncli.report.sweep_plots.axis import Axis, aside, tick_text
from cnncli.report.sweep_plots.page import SECTIONS, sweep_page
from cnncli.report.sweep_plots.scatter import stairs
from cnncli.sweeps.landscape import Landscape, Variable
from cnncli.sweeps.results import Results

STATES = ("done", "pruned", "failed", "refused")


class Elements(HTMLParser):
    """Keeps every element with its attributes and the section it is in, and checks that elements end in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.section = ""
        self.found: list[tuple[str, str, dict[str, str]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        if tag not in VOID and tag != "link":
            self.open.append(tag)
        self._note(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that ends itself."""
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Check that the innermost element ends."""
        assert self.open.pop() == tag

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.section = found.get("id", "") if tag == "section" else self.section
        self.found.append((self.section, tag, found))

    def marks(self, section: str) -> Counter[int]:
        """Return how many marks each trial has in a section."""
        return Counter(int(a["data-trial"]) for s, _, a in self.found if s == section and "data-trial" in a)


@pytest.fixture(scope="module")
def page(landscape: Landscape) -> str:
    """Return the page."""
    return sweep_page(landscape)


def numbers(landscape: Landscape, *states: str) -> set[int]:
    """Return the numbers of the trials in these states."""
    return {trial.proposal.number for trial in landscape.found.trials if trial.state in states}


def test_page_is_whole(page: str) -> None:
    """Every section is there, every link leads somewhere, no id stands twice, and nothing is fetched."""
    found = Elements(page).found
    ids = [attributes["id"] for _, _, attributes in found if "id" in attributes]
    assert {identity for identity, _, _ in SECTIONS} <= set(ids)
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for _, tag, attributes in found if tag == "a"}
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)


def test_every_trial_is_marked_where_it_belongs(page: str, landscape: Landscape) -> None:
    """Each once in each plot of the keys that it has; those without a result not among results."""
    elements = Elements(page)
    plotted = numbers(landscape, *STATES)
    assert set(elements.marks("parallel")) == plotted
    history = elements.marks("history")
    assert history == Counter({number: len(landscape.objectives) for number in plotted})
    for number, count in elements.marks("slices").items():
        keys = [key for key in landscape.keys if number in key.values]
        assert count == len(keys) * len(landscape.objectives)
    assert set(elements.marks("front")) == numbers(landscape, "done", "pruned")
    assert set(elements.marks("trials")) == {trial.proposal.number for trial in landscape.found.trials}


def test_states_are_told_apart(page: str, landscape: Landscape) -> None:
    """Each has a mark of its own in the plots."""
    marks = (a for s, _, a in Elements(page).found if s == "history" and "data-trial" in a)
    found = [(a["class"], int(a["data-trial"])) for a in marks]
    for state in ("pruned", "failed", "refused"):
        assert {number for kind, number in found if kind == state} == numbers(landscape, state)
    assert {number for kind, number in found if kind.startswith("dot")} == numbers(landscape, "done")


def test_front_is_marked(page: str, landscape: Landscape) -> None:
    """The larger dots of the plot of both objectives are the best trials."""
    marks = (a for s, _, a in Elements(page).found if s == "front" and "data-trial" in a)
    strong = [int(a["data-trial"]) for a in marks if a["class"].startswith("strong")]
    assert set(landscape.found.best) <= set(strong)
    assert len(strong) == sum(len(landscape.front(*pair)) for pair in landscape.tradeoffs)


def test_lines_end_where_there_is_no_result(page: str, landscape: Landscape) -> None:
    """The line of a trial crosses the axes of all keys, and those of the objectives where it has values."""
    crossed: dict[int, int] = {}
    current = -1
    for section, tag, attributes in Elements(page).found:
        if section == "parallel" and tag == "g" and "data-trial" in attributes:
            current = int(attributes["data-trial"])
        elif section == "parallel" and tag == "polyline" and attributes["class"] == "hit":
            crossed[current] = len(attributes["points"].split())
    keys, objectives = len(landscape.keys), len(landscape.objectives)
    for number, axes in crossed.items():
        has_result = landscape.found.trials[number].values is not None
        assert axes == keys + (objectives if has_result else 0)


def test_configs_of_the_best(page: str, landscape: Landscape) -> None:
    """Each is YAML with the values of its trial."""
    texts = re.findall(r"<summary>Trial (\d+)</summary>.*?<code>(.*?)</code>", page, re.DOTALL)
    assert [int(number) for number, _ in texts] == list(landscape.found.best)
    for number, text in texts:
        document = yaml.safe_load(text.replace("&quot;", '"').replace("&#x27;", "'"))
        params = landscape.found.trials[int(number)].proposal.params
        assert document["train"]["batch_size"] == params["train.batch_size"]


def test_script_knows_every_trial(page: str, landscape: Landscape) -> None:
    """What is said of a trial that is pointed at."""
    data = json.loads(re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert [trial["number"] for trial in data["trials"]] == list(range(len(landscape.found.trials)))
    assert data["trials"][landscape.found.best[0]]["result"].startswith("accuracy 0.9")


def test_names_cannot_leave_their_place(landscape: Landscape) -> None:
    """What a file says is text, wherever it appears."""
    hostile = "</script><script>alert(1)</script>"
    trials = tuple(
        replace(trial, proposal=replace(trial.proposal, refused=hostile if trial.state == "refused" else None))
        for trial in landscape.found.trials
    )
    first = landscape.keys[0]
    values = {number: hostile if value == "SGD" else value for number, value in first.values.items()}
    keys = (replace(first, choices=(hostile, "Adam"), values=values), *landscape.keys[1:])
    judged = replace(landscape.importance, shares={hostile: {first.name: 1.0}}, left_out=(hostile,))
    found = replace(landscape.found, trials=trials)
    page = sweep_page(replace(landscape, found=found, keys=keys, importance=judged))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    Elements(page)


@pytest.mark.parametrize("num_trials", [0, 1, 3, 4])
def test_page_of_a_sweep_that_has_just_begun(landscape: Landscape, num_trials: int) -> None:
    """What is not there yet is left out."""
    from cnncli.sweeps.landscape import landscape as made
    from cnncli.sweeps.results import best

    trials = landscape.found.trials[:num_trials]
    found = Results("runs/search.sweep", landscape.found.sweep, trials, best(landscape.found.sweep, trials))
    page = sweep_page(made(found))
    ids = {attributes.get("id") for _, _, attributes in Elements(page).found}
    assert ("history" in ids) == ("config" in ids) == any(trial.state == "done" for trial in trials)
    assert {"glance", "trials", "sweep"} <= ids


def test_axes() -> None:
    """Round numbers, decades where they are many, choices side by side; no value is cut off."""

    def axis(low: float, high: float, **more: Any) -> Axis:
        return Axis.of(Variable("x", {}, bounds=(low, high), **more), "x")

    rate = axis(1e-4, 1e-1, is_log=True)
    assert [tick.text for tick in rate.ticks(5)] == ["0.0001", "0.001", "0.01", "0.1"]
    assert rate.place(1e-3) - rate.place(1e-4) == pytest.approx(rate.place(1e-1) - rate.place(1e-2))
    assert 0 < rate.place(1e-4) < rate.place(1e-1) < 1
    assert rate.number(rate.place(0.02)) == pytest.approx(0.02)
    assert [tick.text for tick in axis(32, 512, is_log=True).ticks(5)] == ["50", "100", "200", "500"]
    assert [tick.text for tick in axis(1.2e6, 1.6e6, is_log=True).ticks(5)][:2] == ["1.2 M", "1.3 M"]
    assert [tick.value for tick in axis(1, 3, is_whole=True).ticks(9)] == [1, 2, 3]
    assert [tick.text for tick in axis(0.5, 0.5).ticks(5)]
    choices = Axis.of(Variable("x", {}, choices=("SGD", "Adam")), "x")
    assert [(tick.place, tick.text) for tick in choices.ticks(1)] == [(0.25, "SGD"), (0.75, "Adam")]
    assert choices.number(0.75) == 1
    long = Axis.of(Variable("x", {}, choices=("{Cosine: {epochs: 0}}", "{Cosine: {epochs: 1}}")), "x")
    assert [tick.text for tick in long.ticks(1, 30)] == list(long.choices)
    assert [tick.text for tick in long.ticks(1, 8)] == ["…hs: 0}}", "…hs: 1}}"]
    assert all(abs(aside(number)) <= 0.25 for number in range(1000))
    texts = {0.5: "0.5", 9999: "9999", 10_000: "10 k", 62_000: "62 k", 1.25e6: "1.25 M"}
    assert {value: tick_text(value) for value in texts} == texts


def test_steps_of_a_front() -> None:
    """A corner stands where no trial is better in both: it depends on whether less or more is better to the right."""
    points = [(1.0, 5.0), (2.0, 7.0)]
    assert stairs(points) == [(1, 5), (2, 5), (2, 7)]
    assert stairs([(1.0, 7.0), (2.0, 5.0)], early=True) == [(1, 7), (1, 5), (2, 5)]
    assert stairs([]) == []
