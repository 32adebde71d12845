"""Sections of the report about the run itself: at a glance, curves, data, config, environment, commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cnncli.config.schema.tasks import Metric
from cnncli.plural import counted
from cnncli.report.html import Content, Html, definitions, element, scrolling, section
from cnncli.report.html_chart import Axes, Series, line_chart
from cnncli.report.html_material import Material, Tile
from cnncli.report.html_parts import from_page, note
from cnncli.report.numbers import full, short
from cnncli.report.passport import passport_page
from cnncli.report.penalty import penalty_sentence


def glance(material: Material) -> Html:
    """Return the few numbers that matter most."""
    tiles = [
        element(
            "div", element("dt", tile.term), element("dd", tile.value, tile.remark and element("small", tile.remark))
        )
        for tile in _tiles(material)
    ]
    shown = material.evaluation
    chosen = f"the {material.checkpoint} checkpoint, " if material.checkpoint in ("best", "last") else ""
    named = shown and note(f"All results on {shown['split']} and all pictures are of {chosen}{shown['checkpoint']}.")
    missing = [note(sentence) for sentence in material.pictures.missing]
    return section("glance", "At a glance", element("dl", tiles, class_="tiles"), named, missing)


def _tiles(material: Material) -> Iterator[Tile]:
    yield from material.tiles
    best = material.record.get("best")
    if best:
        yield Tile("Best epoch", str(best["epoch"]), f"{best['monitor'].replace('_', ' ')} {best['value']:.4f}")
    yield Tile("Status", material.status, f"{counted(len(material.metrics), 'epoch')} trained")
    yield Tile("Parameters", full(material.summary.total_params), f"{short(material.summary.macs, 'MACs')} per image")
    if material.metrics:
        seconds = sum(line.get("seconds") or 0 for line in material.metrics)
        yield Tile("Training time", _duration(seconds), str(material.record.get("device", "")))
    metric = material.task.primary.name.replace("_", " ")
    uses = str(material.record.get("test_uses", 0))
    yield Tile("Uses of the test split", uses, f"the more it is used for decisions, the more optimistic its {metric}")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def curves(material: Material) -> Html:
    """Return the task's metrics and the learning rate over the epochs."""
    lines = material.metrics
    if not lines:
        return section("curves", "Curves", note("No epochs finished yet."))
    charts = [
        *(_metric(lines, metric) for metric in material.task.all_metrics),
        line_chart(
            Axes("Learning rate", "epoch", "", whole=True),
            [Series("learning rate", [(line["epoch"], line.get("learning_rate")) for line in lines], "first")],
        ),
    ]
    penalty = penalty_sentence(lines)
    return section("curves", "Curves", element("div", charts, class_="charts"), penalty and note(penalty))


_SHORT = {"ap": "AP", "ap50": "AP50", "iou": "IoU"}
"""Words of metrics' names that are written otherwise."""


def _metric(lines: Sequence[Mapping[str, Any]], metric: Metric) -> Html:
    series = _both(lines, metric.name)
    known = [y for curve in series for _, y in curve.points if y is not None]
    is_share = metric.higher_is_better and all(0 <= y <= 1 for y in known)
    return line_chart(
        Axes(_in_words(metric.name), "epoch", "", _to_one(known) if is_share else None, whole=True), series
    )


def _in_words(name: str) -> str:
    """Return a metric's name as a title: "Mean IoU" for mean_iou."""
    title = " ".join(_SHORT.get(word, word) for word in name.split("_"))
    return title[:1].upper() + title[1:]


def _to_one(values: Sequence[float]) -> tuple[float, float]:
    """Return a range from a round number below the lowest share up to 1."""
    return min(int(10 * min(values, default=0.0)) / 10, 0.9), 1.0


def _both(lines: Sequence[Mapping[str, Any]], name: str) -> list[Series]:
    kinds = {"train": "first", "validation": "second"}
    found = {split: [(line["epoch"], line[split].get(name)) for line in lines if line.get(split)] for split in kinds}
    names = {"train": "training, averaged over the epoch", "validation": "validation, after the epoch"}
    known = {split for split in kinds if any(name in (line.get(split) or {}) for line in lines)}
    return [Series(names[split], points, kinds[split]) for split, points in found.items() if split in known]


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
