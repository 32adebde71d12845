"""Hostile `.keras` files: refused in one line, quickly, in little memory, with nothing run, read or written outside."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import read

SECRET = "a secret that must not be read"


def layer(kind: str, name: str, before: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    """Return a layer of a config.json."""
    history = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [{"args": [history], "kwargs": {}}] if before else [],
    }


def nested(depth: int) -> dict[str, Any]:
    """Return a layer within so many models."""
    inner = layer("Dense", "dense", "", units=2)
    for number in range(depth):
        inner = layer("Sequential", f"m{number}", "", layers=[layer("InputLayer", f"i{number}", ""), inner])
    return {**inner, "inbound_nodes": layer("Dense", "d", "flat")["inbound_nodes"]}


def model(*layers: dict[str, Any], shape: Any = (None, 4, 4, 1)) -> dict[str, Any]:
    """Return a config.json of an input and some layers."""
    first = layer("InputLayer", "in", "", batch_shape=list(shape))
    config = {"name": "m", "layers": [first, *layers], "output_layers": [layers[-1]["name"], 0, 0]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}


FLAT = layer("Flatten", "flat", "in")
GOOD = model(FLAT, layer("Dense", "dense", "flat", units=2))


def weights(change: Callable[[h5py.File], None] | None = None) -> bytes:
    """Return a model.weights.h5 for `GOOD`, after a change."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"] = np.ones((16, 2), np.float32)
        group["1"] = np.zeros(2, np.float32)
        if change is not None:
            change(file)
    return buffer.getvalue()


def archive(path: Path, config: Any = GOOD, h5: bytes | None = None, **members: bytes) -> Path:
    """Write a `.keras` file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", config if isinstance(config, (str, bytes)) else json.dumps(config))
        file.writestr("metadata.json", "{}")
        file.writestr("model.weights.h5", weights() if h5 is None else h5)
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refused(path: Path, message: str) -> None:
    """Import a file and see the error."""
    with pytest.raises(GraphImportError) as raised:
        read(path)
    assert message in f"{raised.value.message} {raised.value.hint}"
    assert SECRET not in str(raised.value)


def test_whole_file_is_read(tmp_path: Path) -> None:
    """What the other tests break is read when it is whole."""
    found = read(archive(tmp_path / "m.keras"))
    assert found.weights["dense/kernel"].tolist() == np.ones((16, 2)).tolist()


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None, "closure": None}}
HOSTILE_LAYERS = {
    "lambda": (layer("Lambda", "l", "flat", function=LAMBDA), "Lambda is not a supported layer"),
    "saved model": (layer("TFSMLayer", "l", "flat", filepath="/tmp/evil"), "TFSMLayer is not a supported layer"),
    "vocabulary file": (
        layer("StringLookup", "l", "flat", vocabulary="/etc/passwd"),
        "StringLookup is not a supported",
    ),
    "get_file": (layer("get_file", "l", "flat", module="keras.utils", origin="http://x/y"), "not one of Keras's own"),
    "os.system": (layer("system", "l", "flat", module="os", command="touch x"), "not one of Keras's own"),
    "subclass by module": (layer("Dense", "l", "flat", module="evil.layers", units=2), "not one of Keras's own"),
    "registered name": ({**layer("Dense", "l", "flat", units=2), "registered_name": "evil>Dense"}, "evil>Dense"),
    "function as activation": (
        layer("Dense", "l", "flat", units=2, activation={"class_name": "function", "config": "os.system"}),
        "config.json is damaged",
    ),
    "lambda as activation": (layer("Dense", "l", "flat", units=2, activation=LAMBDA), "is not supported"),
    "foreign initializer": (
        layer("Dense", "l", "flat", units=2, kernel_initializer={"module": "os", "class_name": "system", "config": {}}),
        "kernel_initializer",
    ),
    "quantization": (layer("Dense", "l", "flat", units=2, quantization_config={"a": 1}), "quantization_config"),
    "empty model in the model": (layer("Functional", "l", "flat", layers=[]), "output_layers is missing"),
    "lambda in a model in the model": (
        layer(
            "Sequential",
            "l",
            "flat",
            layers=[layer("InputLayer", "i", "", batch_shape=[None, 16]), layer("Lambda", "m", "", function=LAMBDA)],
        ),
        "Lambda is not a supported layer",
    ),
    "same name twice": (layer("Dense", "flat", "flat", units=2), "two layers are named flat"),
    "models without end": (nested(30), "models are nested more than 20 deep"),
    "wrapper": (layer("TimeDistributed", "l", "flat", layer=LAMBDA), "TimeDistributed is not a supported layer"),
}


@pytest.mark.parametrize("name", HOSTILE_LAYERS)
def test_hostile_layers(tmp_path: Path, name: str) -> None:
    """Layers that would run code, read files or fetch them are not on the list."""
    hostile, message = HOSTILE_LAYERS[name]
    refused(archive(tmp_path / "m.keras", model(FLAT, hostile)), message)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[" * 100_000, "not valid JSON"),
        ('{"class_name": ' + "1" * 5000 + "}", "not valid JSON"),
        ("[]", "damaged"),
        ({"class_name": "Model", "config": {}}, "only Functional and Sequential"),
        ({"class_name": "Functional", "config": {"layers": [1]}}, "damaged"),
        (model(layer("Flatten", "flat", "nothing")), 'its input "nothing"'),
        (model(FLAT, shape=(None, None, None, 1)), "must be fixed"),
        (model(FLAT, shape=(None, 4, 4)), "expected (any, height, width, channels)"),
        (model(FLAT, shape=(None, 2**40, 4, 1)), "must be fixed"),
        (model(FLAT, layer("Dense", "d", "flat", units=10**12)), "1,000,000,000,000 classes"),
        (model(FLAT, layer("Dense", "d", "flat", units=10**12), layer("Dense", "e", "d", units=2)), "bytes of weights"),
        (model(FLAT, layer("Dense", "d", "flat", units=-1)), "d: Dense.units"),
        (model(FLAT, layer("Dense", "../../x", "flat", units=2)), "name"),
        (model(layer("Conv2D", "c", "in", filters=2, kernel_size=3, data_format="channels_first")), "data_format"),
        (model(*[layer("Flatten", f"f{i}", f"f{i - 1}" if i else "in") for i in range(20_001)]), "20,002 layers"),
    ],
)
def test_damaged_configs(tmp_path: Path, config: Any, message: str) -> None:
    """A config.json that is deep, large or nonsense is one error."""
    refused(archive(tmp_path / "m.keras", config), message)


def link(kind: Any) -> Callable[[h5py.File], None]:
    """Return a change that puts a link in the place of a weight."""

    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = kind

    return change


def external_storage(file: h5py.File) -> None:
    """Keep a weight's values in another file."""
    del file["layers/dense/vars/0"]
    Path("outside.bin").write_bytes(b"\0" * 128)
    file["layers/dense/vars"].create_dataset("0", (16, 2), np.float32, external=[("outside.bin", 0, 128)])


def virtual(file: h5py.File) -> None:
    """Compose a weight of another file."""
    del file["layers/dense/vars/0"]
    layout = h5py.VirtualLayout((16, 2), np.float32)
    layout[:] = h5py.VirtualSource("outside.h5", "w", (16, 2))
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def replaced(**arguments: Any) -> Callable[[h5py.File], None]:
    """Return a change that stores a weight in another way."""

    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", **arguments)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (link(h5py.ExternalLink("outside.h5", "/w")), "is a link to another place"),
        (link(h5py.SoftLink("/layers/dense/vars/1")), "is a link to another place"),
        (external_storage, "not stored in the file itself"),
        (virtual, "not stored in the file itself"),
        (replaced(shape=(10**9, 2), dtype=np.float32, chunks=(1000, 2)), "has shape"),
        (replaced(shape=(16, 2), dtype=np.float32, chunks=(16, 2), compression="gzip"), "in an unsupported form"),
        (replaced(shape=(16, 2), dtype=np.float32), "in an unsupported form"),
        (replaced(data=np.array([[SECRET] * 2] * 16, dtype="S40")), "expected numbers"),
        (replaced(data=np.full((16, 2), np.nan, np.float32)), "not finite"),
        (lambda file: file.pop("layers/dense/vars/0"), "0 is missing"),
        (lambda file: file.pop("layers"), "layers is missing"),
    ],
)
def test_hostile_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[h5py.File], None], message: str
) -> None:
    """Links, foreign storage, filters and other shapes are refused before a value is read."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("outside.h5", "w") as outside:
        outside["w"] = np.ones((16, 2), np.float32)
    refused(archive(tmp_path / "m.keras", h5=weights(change)), message)


def test_damaged_weights(tmp_path: Path) -> None:
    """No HDF5 at all, half of it, and bits flipped at random: an error or whole weights, never another exception."""
    whole = weights()
    refused(archive(tmp_path / "a.keras", h5=b"nothing"), "damaged")
    refused(archive(tmp_path / "b.keras", h5=whole[: len(whole) // 2]), "damaged")
    generator = np.random.default_rng(0)
    for number in range(100):
        flipped = bytearray(whole)
        flipped[generator.integers(len(whole))] ^= 1 << generator.integers(8)
        try:
            read(archive(tmp_path / f"{number}.keras", h5=bytes(flipped)))
        except GraphImportError:
            continue


READER = """
import ctypes, sys
from pathlib import Path
from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import read
for name in sys.argv[1:]:
    try:
        read(Path(name))
    except GraphImportError as error:
        print(error.message)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
"""
"""Reads files and ends as large programs do: with objects that nobody has freed, here the errors and their frames."""


def test_process_that_read_damaged_weights_ends_well(tmp_path: Path) -> None:
    """A process that met damaged weights ends by itself: HDF5's last acts do not call into a Python that has ended."""
    whole = weights()
    kinds = {
        "nothing": b"nothing",
        "half": whole[: len(whole) // 2],
        "superblock": b"\x89HDF\r\n\x1a\n" + b"\xff" * 500,
    }
    paths = [archive(tmp_path / f"{name}.keras", h5=content) for name, content in kinds.items()]
    done = subprocess.run([sys.executable, "-c", READER, *map(str, paths)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["model.weights.h5 is damaged"] * 3


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unpacked weights are gone after reading, whether they were whole or not."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    read(archive(tmp_path / "a.keras"))
    refused(archive(tmp_path / "b.keras", h5=b"nothing"), "damaged")
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("name", [".", "./", ".\\"])
def test_member_without_a_name(tmp_path: Path, name: str) -> None:
    """An archive with a member that has no name is refused."""
    refused(archive(tmp_path / "m.keras", **{name: b"x"}), "a member without a name")


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "C:\\evil.txt", "..\\evil.txt"])
def test_members_outside(tmp_path: Path, name: str) -> None:
    """An archive with a member outside itself is refused, though none is unpacked."""
    refused(archive(tmp_path / "m.keras", **{name: b"x"}), "outside the archive")


def test_linked_member(tmp_path: Path) -> None:
    """An archive with a symbolic link is refused."""
    path = archive(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as file:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        file.writestr(entry, "/etc/passwd")
    refused(path, "is a link")


def test_two_members_of_one_name(tmp_path: Path) -> None:
    """An archive that says two things under one name is refused."""
    path = archive(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("config.json", "{}")
    refused(path, "two members with the same name")


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_no_archive(tmp_path: Path, cut: int) -> None:
    """A file that is cut off is no archive."""
    path = archive(tmp_path / "m.keras")
    path.write_bytes(path.read_bytes()[:cut])
    refused(path, "not a .keras file")


WATCHED = """
import resource, sys, time, zipfile
from pathlib import Path
from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import read
start = time.process_time()
try:
    read(Path(sys.argv[1]))
except GraphImportError as error:
    print(error)
status = Path("/proc/self/status").read_text()
seconds = time.process_time() - start
start = time.process_time()
with zipfile.ZipFile(sys.argv[1]) as file, file.open(file.namelist()[-1]) as member:
    while member.read(2**20):
        pass
print(seconds, time.process_time() - start, int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize("name", ["config", "weights"])
def test_zip_bombs(tmp_path: Path, name: str) -> None:
    """Hundreds of megabytes in less than one are given up at the limit: before all is unpacked, and below 1 GB."""
    path = tmp_path / "m.keras"
    zeros = b"\0" * 2**20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        if name == "weights":
            file.writestr("config.json", json.dumps(GOOD))
        with file.open("config.json" if name == "config" else "model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(640):
                member.write(zeros)
    done = subprocess.run([sys.executable, "-c", WATCHED, str(path)], capture_output=True, text=True, check=True)
    message, numbers = done.stdout.strip().splitlines()
    seconds, whole, megabytes = map(float, numbers.split())
    assert "more than the limit" in message
    assert seconds < whole
    assert megabytes < 1000
