"""Figures and the report's page, described in words and numbers: each beside its golden text.

What is described is what cnncli says of a figure (data, colours, sizes, words); where the libraries put it is theirs.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from cnncli.config.load import loads
from cnncli.datasets.images import thumbnail
from cnncli.report.figures import mosaic, new_figure, save, shortened
from cnncli.report.figures_config import Field, augmentation_figure, fields_figure, schedule_figure
from cnncli.report.figures_heat import Heated, heat_figure
from cnncli.report.figures_network import activations_figure, kernels_figure, layer_figure
from cnncli.report.figures_pixels import encoded, enlarged, kernel_pixels, map_pixels, overlay_pixels, photo
from cnncli.report.html_chart import Axes as ChartAxes
from cnncli.report.html_chart import Series, line_chart
from cnncli.report.html_material import Material
from cnncli.report.html_page import report_page
from cnncli.report.rate_figure import draw_search
from cnncli.tasks.classification.evaluator import evaluate_logits
from cnncli.tasks.classification.figures import Pictured, confusion_figure, gallery_figure
from cnncli.tasks.classification.html import SECTIONS
from cnncli.tasks.invariance_figure import invariance_figure

Golden = Callable[[str, str], None]


def listed(values: Any) -> str:
    """Return an array in short: its shape, its bounds, its mean, and a sum that depends on the order."""
    array = np.asarray(values, np.float64).reshape(-1)
    known = np.nan_to_num(array, nan=-1.0)
    numbers = [known.min(), known.max(), known.mean(), known @ np.cos(np.arange(len(known)))] if len(known) else []
    return f"{np.shape(values)} " + " ".join(f"{number:.4g}" for number in np.round(numbers, 6) + 0.0)


def described(figure: Figure) -> str:
    """Return everything that was said of a figure."""
    lines = ["figure " + " ".join(f"{inches:.4g}" for inches in figure.get_size_inches())]
    if figure.get_suptitle():
        lines.append(f"title {figure.get_suptitle()!r}")
    lines += [f"text {_text(text)}" for text in figure.texts if text.get_text() != figure.get_suptitle()]
    for legend in figure.legends:
        lines += [f"legend {legend.get_title().get_text()!r} {[text.get_text() for text in legend.get_texts()]}"]
    for axes in figure.axes:
        lines += [f"  {line}" for line in _axes(axes)]
    named = [text for text in figure.findobj(Text) if "$" in text.get_text() and "mathdefault" not in text.get_text()]
    read = [text.get_text() for text in named if text.get_parse_math()]
    lines += [f"read as mathematics: {text!r}" for text in read]
    repeated = [(line, len(list(group))) for line, group in groupby(lines)]
    return "\n".join(line if times == 1 else f"{line} ({times} times)" for line, times in repeated)


def _text(text: Any) -> str:
    place = " ".join(f"{x:.4g}" for x in text.get_position())
    return f"{text.get_text()!r} at {place} size {text.get_fontsize():.4g} {colors.to_hex(text.get_color())}"


def _axes(axes: Axes) -> Iterator[str]:
    if not axes.get_visible():
        yield "axes hidden"
        return
    if axes.get_label() == "<colorbar>":  # its colours are matplotlib's matter
        yield f"colour bar {axes.get_ylabel()!r} {axes.get_ylim()[0]:.4g} to {axes.get_ylim()[1]:.4g}"
        return
    hidden = [side for side, spine in axes.spines.items() if not spine.get_visible()]
    frame = "" if axes.get_frame_on() else " without a frame"
    yield f"axes {axes.get_title()!r} {axes.get_title('left')!r} {axes.get_anchor()}{frame} {' '.join(hidden)}"
    for name, axis, limits in (("x", axes.xaxis, axes.get_xlim()), ("y", axes.yaxis, axes.get_ylim())):
        label, ticks = axis.label, axis.get_majorticklabels()
        said = f" {label.get_text()!r} size {label.get_fontsize():.4g} turned {label.get_rotation():.4g}"
        yield f"{name}{said if label.get_text() else ''} {limits[0]:.4g} to {limits[1]:.4g} {axis.get_scale()}"
        if ticks and type(axis.get_major_locator()).__name__ == "FixedLocator":
            names = "|".join(tick.get_text() for tick in ticks)
            turned = f"size {ticks[0].get_fontsize():.4g} turned {ticks[0].get_rotation():.4g}"
            yield f"  {names} at {listed(axis.get_majorticklocs())} {turned}"
    for line in axes.lines:
        x, y = line.get_data()
        look = (
            f"{colors.to_hex(line.get_color())} {line.get_linestyle()} {line.get_marker()} {line.get_markersize():.4g}"
        )
        yield f"line {line.get_label()!r} {look} x {listed(x)} y {listed(y)} above {line.get_zorder()}"
    for image in axes.images:
        alpha = image.get_alpha()
        opacity = "" if alpha is None else f" opacity {listed(alpha)}"
        bounds = " to ".join(f"{limit:.4g}" for limit in image.get_clim())
        yield f"image {listed(image.get_array().filled(np.nan))} {image.get_cmap().name} {bounds}{opacity}"
    for patch in axes.patches:
        box = " ".join(f"{value:.4g}" for value in patch.get_extents().transformed(axes.transData.inverted()).bounds)
        colour = colors.to_hex(patch.get_facecolor() if patch.get_fill() else patch.get_edgecolor())
        look = f"{colour} width {patch.get_linewidth():.4g} above {patch.get_zorder():.4g}"
        yield f"patch {patch.get_label()!r} {box} {look}"
    for collection in axes.collections:
        yield from (f"band {listed(path.vertices)} opacity {collection.get_alpha()}" for path in collection.get_paths())
    if axes.texts:
        places, said = [text.get_position() for text in axes.texts], " ".join(text.get_text() for text in axes.texts)
        sizes = {text.get_fontsize() for text in axes.texts}
        yield f"texts {said} at {listed(places)} size {sizes} {''.join(text.get_color()[0] for text in axes.texts)}"
    if axes.get_legend():
        yield f"legend {[text.get_text() for text in axes.get_legend().get_texts()]}"


def noise(*shape: int, seed: int = 0) -> Any:
    """Return pixels."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def weights(*shape: int, seed: int = 0) -> Any:
    """Return weights around zero."""
    return (np.random.default_rng(seed).integers(-50, 51, shape) / 50).astype(np.float32)


def answered(classes: int) -> dict[str, Any]:
    """Return an evaluation of that many classes, one of which has no example."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, classes - 1, 12 * classes)
    logits = generator.normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += 2
    names = tuple(f"a $long$ name of class {i}" if i % 2 else f"$c{i}$" for i in range(classes))
    return evaluate_logits("test", names, labels, logits).to_json()


def test_confusion_matrices(golden: Golden) -> None:
    """With counts, without, and with fewer names than classes."""
    documents = [answered(4), answered(30), answered(130)]
    few = evaluate_logits("test", ("a", "b"), np.array([0, 1, 1]), np.array([[1.0, 0], [0, 1], [1, 0]])).to_json()
    golden("figure_confusion", "\n\n".join(described(confusion_figure(found, "T")) for found in [*documents, few]))


def test_galleries(golden: Golden) -> None:
    """Grey and in colour, fewer than a row, several rows, and none."""
    names = ["7", "short.png", "a/long/path/to/a/file.png"]
    found = [
        Pictured(noise(5, 4, 1 + 2 * (i % 2), seed=i), names[i % 3], "t$" * (3 * i + 2), "$said$", 0.12345 * i)
        for i in range(8)
    ]
    golden("figure_gallery", "\n\n".join(described(gallery_figure(part, "T")) for part in (found, found[:2], [])))


def test_schedules(golden: Golden) -> None:
    """The curve of a schedule, and what a run recorded."""
    text = "name: n\ndata: {source: digits, image_size: [8, 8]}\nmodel: {layers: [Flatten, Dense: {units: 10}]}\n"
    config = loads(text, overrides=["train.epochs=4", "train.schedule={CosineDecay: {warmup_epochs: 1}}"])
    metrics = [{"epoch": epoch, "learning_rate": 0.001 / epoch} for epoch in (1, 2)]
    golden("figure_schedule", "\n\n".join(described(schedule_figure(config, found)) for found in ((), metrics)))


def test_augmentations_and_fields(golden: Golden) -> None:
    """Rows of variants; what layers see, inside the image and beyond it."""
    fields = [
        Field(f"layer {i}" + " with a long name" * (i == 2), -i, 2 - 2 * i, 3 + 2 * i, 4 + 5 * i) for i in range(4)
    ]
    figures = [
        augmentation_figure(noise(2, 3, 4, 4, 1), "T"),
        fields_figure(noise(8, 9, 3), fields, "T"),
        fields_figure(noise(8, 9, 1), fields[:1], "T"),
        fields_figure(noise(8, 9, 1), [fields[0]] * 20, "T"),
    ]
    golden("figure_config", "\n\n".join(map(described, figures)))


def test_heat(golden: Golden) -> None:
    """One pair of columns for few images, two for more."""
    items = [
        Heated(noise(4, 4, 1, seed=i), np.linspace(0, 1, 16).reshape(4, 4), "$caption$ " * (4 * i + 3))
        for i in range(5)
    ]
    golden("figure_heat", "\n\n".join(described(heat_figure(part, "T", "meaning")) for part in (items, items[:3])))


def test_invariance_profiles(golden: Golden, material: Material) -> None:
    """A curve with its band for each distortion."""
    assert material.invariance is not None
    golden("figure_invariance", described(invariance_figure(material.invariance, "T")))


def test_kernels(golden: Golden) -> None:
    """Few grey ones with numbers, many without, in colour, and those that see many channels."""
    shapes = [
        (3, 3, 1, 6),
        (5, 5, 1, 12),
        (5, 6, 1, 3),
        (3, 3, 1, 70),
        (2, 3, 3, 13),
        (2, 3, 3, 65),
        (3, 2, 20, 18),
        (1, 1, 2, 4),
    ]
    found = [SimpleNamespace(layer="c1", weights=weights(*shape)) for shape in shapes]
    whole = SimpleNamespace(layer="w", weights=np.round(4 * weights(3, 3, 1, 2)))
    zero = [
        SimpleNamespace(layer="z", weights=np.zeros(shape, np.float32))
        for shape in ((3, 3, 1, 1), (3, 3, 3, 2), (3, 3, 2, 2))
    ]
    golden("figure_kernels", "\n\n".join(described(kernels_figure(k)) for k in [*found, whole, *zero]))  # type: ignore[arg-type]


def maps(*shape: int, kind: str = "Conv2D", seed: int = 0) -> Any:
    """Return what a layer makes of an image."""
    return SimpleNamespace(layer=f"a $layer$ with the number {seed}", kind=kind, values=weights(*shape, seed=seed))


def test_activations(golden: Golden) -> None:
    """A network row by row, a deep one with some rows left out, and single layers."""
    some = [maps(6, 6, 4), maps(40, 30, 12, seed=1), maps(10, seed=2)]
    kinds = ["Conv2D", "BatchNormalization", "ReLU"]
    deep = [maps(3, 3, 2, kind=kinds[i % 3], seed=i) for i in range(40)]
    answer = [("a $very$ long name of a class", 0.75), ("b", 0.25)]
    figures = [
        activations_figure(noise(6, 7, 1), some, answer, "T"),
        activations_figure(noise(6, 7, 3), deep, answer, "T"),
        layer_figure(maps(4, 5, 70), "T"),
        layer_figure(maps(4, 5, 3), "T"),
        layer_figure(maps(9), "T"),
    ]
    golden("figure_activations", "\n\n".join(map(described, figures)))


def test_a_search_for_a_rate(tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss against rate, with both marks; the picture has the size that was asked for."""
    drawn: list[Figure] = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, file, dpi, **_: drawn.append(self) or file.write(f"dpi {dpi}".encode())
    )
    document = {"rates": [1e-4, 1e-3, 1e-2], "losses": [2.0, 1.5, 9.0], "suggested": 1e-3, "steepest": 5e-4}
    draw_search(document, tmp_path / "x.png")
    draw_search({**document, "losses": [2.0, 2.0, 2.0]}, tmp_path / "x.png")
    golden("figure_search", "\n\n".join([*map(described, drawn), (tmp_path / "x.png").read_text()]))


def test_figures_become_files(tmp_path: Path) -> None:
    """A PNG file of the figure's size, in folders that are made."""
    path = save(new_figure(2, 1, "T"), tmp_path / "new" / "x.png")
    with Image.open(path) as image:
        assert image.size == (240, 120)
    assert shortened("a" * 18) == "a" * 18
    assert shortened("a" * 19) == "a" * 17 + "…"


def test_mosaics_have_a_gap_between_tiles() -> None:
    """Tiles in rows, the last row not full."""
    tiles = np.arange(12.0).reshape(3, 2, 2)
    expected = np.full((5, 5), np.nan)
    expected[:2, :2], expected[:2, 3:], expected[3:, :2] = tiles
    assert np.array_equal(mosaic(tiles, 2), expected, equal_nan=True)


def pixels_of(content: bytes) -> str:
    """Return what an image file shows, in short."""
    with Image.open(io.BytesIO(content)) as image:
        exact = listed(np.asarray(image.convert("RGBA"))) if image.format == "PNG" else str(image.size)
        return f"{image.format} {image.mode} {exact}"


def test_pixels(golden: Golden) -> None:
    """Kernels, feature maps, heat and photographs as plain pixels and as files."""
    heat = np.linspace(0, 1, 20).reshape(4, 5)
    arrays = [
        kernel_pixels(weights(3, 3, 1, 10)),
        kernel_pixels(weights(3, 3, 1, 3), 2, limit=2.0),
        kernel_pixels(weights(3, 3, 3, 70)),
        kernel_pixels(weights(3, 3, 5, 4)),
        kernel_pixels(np.zeros((3, 3, 1, 1), np.float32)),
        kernel_pixels(np.zeros((3, 3, 2, 1), np.float32)),
        map_pixels(weights(4, 5, 9)),
        map_pixels(np.ones((2, 2, 1), np.float32)),
        overlay_pixels(noise(4, 5, 3), heat),
        enlarged(noise(3, 4, 1), 10),
        enlarged(noise(12, 14, 1), 10),
        thumbnail(noise(30, 40, 3), 10),
        thumbnail(noise(40, 1, 1), 10),
        thumbnail(noise(10, 9, 1), 10),
    ]
    few = np.repeat(noise(3, 3, 3), 4, axis=0)
    few[0, 0] = 255
    files = [encoded(pixels, clear) for pixels in (few, noise(20, 20, 3), noise(4, 4, 1)) for clear in (False, True)]
    smooth = (
        np.add.outer(np.arange(90), np.arange(90))[..., None].repeat(3, axis=2).astype(np.uint8)
        + noise(90, 90, 3) // 30
    )
    files += [photo(pixels) for pixels in (few, smooth.astype(np.uint8), noise(9, 9, 1))]
    golden("pixels", "\n".join([*(f"{a.dtype} {listed(a)}" for a in arrays), *map(pixels_of, files)]))


def in_lines(html: str) -> str:
    """Return HTML with a tag a line, images described instead of encoded."""
    described = re.sub(r"data:image/\w+;base64,([\w+/=]+)", lambda m: pixels_of(base64.b64decode(m[1])), html)
    return re.sub(r"(?<=>)(?=<)", "\n", described)


CURVE = [(1.0, 2.25), (2.0, None), (3.0, 0.000012345), (4.0, -1.5)]


def test_charts(golden: Golden) -> None:
    """Curves with a band, with a guide, with many points and with hardly any."""
    band = [(1.0, 2.0, 2.5), (3.0, -0.1, 0.2)]
    charts = [
        line_chart(ChartAxes("Loss", "epoch", "", whole=True), [Series("a & b", CURVE, "first")], band),
        line_chart(
            ChartAxes("Share", "x", "y", (0.0, 1.0)),
            [
                Series("s", [(i / 41, i / 50) for i in range(41)], "second"),
                Series("g", [(0.0, 0.0), (1.0, 1.0)], "guide"),
            ],
            band[:1],
        ),
        line_chart(ChartAxes("Share", "x", "y"), [Series("s", [(i, 1e-5 * i) for i in range(40)], "first")]),
        line_chart(ChartAxes("One", "x", ""), [Series("s", [(2.0, 3.0)], "first")]),
        line_chart(ChartAxes("None", "x", ""), [Series("s", [], "first")]),
    ]
    golden("charts", "\n\n".join(map(in_lines, charts)))


def test_the_report(golden: Golden, material: Material, bare_material: Material) -> None:
    """The whole page without its style and script, of a finished run and of one that has just begun."""
    for name, found in (("report", material), ("report_bare", bare_material)):
        page = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", report_page(found, SECTIONS), flags=re.DOTALL)
        golden(name, in_lines(page))
