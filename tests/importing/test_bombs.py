"""Files for `cnn import` that would take all memory, or all patience: refused in one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cnncli.importing.graph import MOST_LAYERS, GraphImportError
from cnncli.importing.read import read
from tests.importing.test_hostile_keras import archive

NET = "[net]\nheight=8\nwidth=8\nchannels=1\n"
LAYER = "[dropout]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes and devices")
@pytest.mark.parametrize("suffix", [".keras", ".cfg", ".prototxt"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, suffix: str) -> None:
    """A pipe would be waited for, a device would never end."""
    pipe, device = tmp_path / f"pipe{suffix}", tmp_path / f"device{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        with pytest.raises(GraphImportError, match="not a regular file"):
            read(path)


def test_too_many_layers(tmp_path: Path) -> None:
    """A network of 50,000 layers is refused before any of them is made."""
    path = tmp_path / "x.cfg"
    path.write_text(NET + LAYER * 50_000, encoding="utf-8")
    with pytest.raises(GraphImportError, match=f"has 50,000 layers; the limit is {MOST_LAYERS:,}"):
        read(path)
    path = tmp_path / "x.prototxt"
    path.write_text("input_dim: [1, 1, 8, 8]" + 'layer {type: "ReLU"}\n' * 20_000, encoding="utf-8")
    with pytest.raises(GraphImportError, match=f"has 20,000 layers; the limit is {MOST_LAYERS:,}"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 100_000, "expected at most 20 nested brackets"),
        ("a {" * 100_000, "expected at most 20 nested braces"),
        ("a: [b" + "{a: [b" * 100_000, "nested"),
        ("a: 1 " * 400_000, "more than 1,000,000 words"),
        ("input_dim: [1, 1, 1e999, 1e999]\nlayer {type: 'ReLU'}", "got 'inf', expected an integer"),
        ("input_dim: [1, 1, 8, -1e999]\nlayer {type: 'ReLU'}", "got '-inf', expected an integer"),
        ("a: 1 " * 900_000, "it is larger than 4,194,304 bytes"),
    ],
    ids=["brackets", "braces", "both", "words", "infinite", "negative", "bytes"],
)
def test_prototxt(tmp_path: Path, text: str, message: str) -> None:
    """Nesting, length and numbers have limits."""
    path = tmp_path / "x.prototxt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GraphImportError, match=message):
        read(path)


@pytest.mark.parametrize("depth", [400, 900, 100_000])
def test_nested_json(tmp_path: Path, depth: int) -> None:
    """JSON that nests deeper than Python's stack: what reads it, and what walks through it."""
    nested = '{"args": ' * depth + "[]" + "}" * depth
    config = '{"class_name": "Functional", "config": {"layers": [{"class_name": "InputLayer", "config": {"name": '
    config += f'"in", "batch_shape": {nested}}}, "inbound_nodes": [{nested}]}}]}}}}'
    with pytest.raises(GraphImportError):
        read(archive(tmp_path / "x.keras", config))


def test_many_layers_of_one_name(tmp_path: Path) -> None:
    """Each gets a name of its own, in time that grows with their number only."""
    from cnncli.importing.graph import Blobs, make_layer

    blobs = Blobs()
    blobs.begin("", (8, 8, 1))
    for name in ("a", "a_3", *["a"] * 3000):
        blobs.add(name, make_layer("ReLU", {}, "x"), [""], "")
    names = [operation.name for operation in blobs.operations]
    assert names[:5] == ["a", "a_3", "a_2", "a_4", "a_5"]
    assert len(set(names)) == len(names)
