"""Sections of the report about the run itself: at a glance, curves, data, config, environment, commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cnncli.plural import counted
from cnncli.report.html import Content, Html, definitions, element, scrolling, section
from cnncli.report.html_chart import Axes, Series, line_chart
from cnncli.report.html_material import Material
from cnncli.report.html_parts import from_page, note
from cnncli.report.numbers import full, short
from cnncli.report.passport import passport_page
from cnncli.report.penalty import penalty_sentence


def glance(material: Material) -> Html:
    """Return the few numbers that matter most."""
    tiles = [
        element("div", element("dt", term), element("dd", said, remark and element("small", remark)))
        for term, said, remark in _tiles(material)
    ]
    missing = [note(sentence) for sentence in material.pictures.missing]
    return section("glance", "At a glance", element("dl", tiles, class_="tiles"), missing)


def _tiles(material: Material) -> Iterator[tuple[str, str, str]]:
    found = material.evaluation
    if found is not None:
        low, high = found["accuracy_interval"]
        where = f"95 % interval {100 * low:.2f} to {100 * high:.2f} %, {full(found['num_examples'])} examples"
        yield f"Accuracy on {found['split']}", f"{100 * found['accuracy']:.2f} %", where
        yield f"Loss on {found['split']}", f"{found['loss']:.4f}", f"checkpoint {found['checkpoint']}"
    best = material.record.get("best")
    if best:
        yield "Best epoch", str(best["epoch"]), f"{best['monitor'].replace('_', ' ')} {best['value']:.4f}"
    yield "Status", material.status, f"{counted(len(material.metrics), 'epoch')} trained"
    yield "Parameters", full(material.summary.total_params), f"{short(material.summary.macs, 'MACs')} per image"
    if material.metrics:
        seconds = sum(line.get("seconds") or 0 for line in material.metrics)
        yield "Training time", _duration(seconds), str(material.record.get("device", ""))
    uses = material.record.get("test_uses", 0)
    yield "Uses of the test split", str(uses), "the more it is used for decisions, the more optimistic its accuracy"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def curves(material: Material) -> Html:
    """Return loss, accuracy and learning rate over the epochs."""
    lines = material.metrics
    if not lines:
        return section("curves", "Curves", note("No epochs finished yet."))
    accuracy = _both(lines, "accuracy")
    charts = [
        line_chart(Axes("Loss", "epoch", "", whole=True), _both(lines, "loss")),
        line_chart(Axes("Accuracy", "epoch", "", _to_one(accuracy), whole=True), accuracy),
        line_chart(
            Axes("Learning rate", "epoch", "", whole=True),
            [Series("learning rate", [(line["epoch"], line.get("learning_rate")) for line in lines], "first")],
        ),
    ]
    penalty = penalty_sentence(lines)
    return section("curves", "Curves", element("div", charts, class_="charts"), penalty and note(penalty))


def _to_one(series: Sequence[Series]) -> tuple[float, float]:
    """Return a range from a round number below the lowest accuracy up to 1."""
    known = [y for curve in series for _, y in curve.points if y is not None]
    return min(int(10 * min(known, default=0.0)) / 10, 0.9), 1.0


def _both(lines: Sequence[Mapping[str, Any]], name: str) -> list[Series]:
    kinds = {"train": "first", "validation": "second"}
    found = {split: [(line["epoch"], line[split].get(name)) for line in lines if line.get(split)] for split in kinds}
    said = {"train": "training, averaged over the epoch", "validation": "validation, after the epoch"}
    return [Series(said[split], points, kinds[split]) for split, points in found.items() if points]


def data(material: Material) -> Html:
    """Return the passport of the data."""
    if "source" not in material.passport:
        return section("data", "Data", note("The run has no data passport."))
    page = passport_page(material.name, dict(material.passport))
    return section("data", "Data", from_page(page, "Examples by class and split"))


def config(material: Material) -> Html:
    """Return the resolved config, as the run keeps it."""
    text = element("pre", element("code", material.config_text))
    return section(
        "config",
        "Config",
        note("Every value, including defaults, with its source."),
        scrolling(text, "config.yaml", tall=True),
    )


ENVIRONMENT = ("started", "ended", "host", "platform", "device", "threads", "cpu_features", "seed", "git_commit")
"""What of run.json is shown; what an older or newer version does not write is left out."""


def environment(material: Material) -> Html:
    """Return where and with what the run was made."""
    record = material.record
    entries: list[tuple[Content, Content]] = [
        (name.replace("_", " "), _plain(record[name])) for name in ENVIRONMENT if record.get(name) not in (None, [], "")
    ]
    versions = record.get("versions") or {}
    entries += [(name, _plain(version)) for name, version in versions.items() if version]
    return section("environment", "Environment", definitions(entries))


def commands(material: Material) -> Html:
    """Return the commands that made the run, and those that go on with it."""
    path = shlex.quote(material.path)
    entries: list[tuple[Content, Content]] = []
    if material.record.get("command"):
        where = material.record.get("directory")
        entries.append(("made by", _code(material.record["command"], f"in {where}" if where else "")))
    entries += [
        ("repeat from its config", _code(f"cnn train {shlex.quote(material.path + '/config.yaml')}")),
        ("resume", _code(f"cnn resume {path}")),
        ("measure", _code(f"cnn eval {path} --split test")),
        ("under distortions", _code(f"cnn eval {path} --invariance")),
        ("classify", _code(f"cnn predict {path} FILE…")),
        ("export", _code(f"cnn export {path} --format saved_model")),
        ("this report", _code(f"cnn report {path}")),
    ]
    return section("commands", "Commands", definitions(entries))


def _code(text: str, remark: str = "") -> Html:
    return element("span", element("code", text), remark and element("small", f" {remark}"))


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
