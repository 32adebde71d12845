"""Published sets: found in Keras's cache or downloaded into it, checked first, and read as Keras reads them."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import pickle
import socket
import sys
import tarfile
import threading
from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pytest

from cnncli.datasets import builtin, download
from cnncli.errors import DataError

CIFAR_BATCHES = {
    "cifar10": [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"],
    "cifar100": ["train", "test"],
}
FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    """Have Keras's cache in a folder of the test's own."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Return a function that publishes a set's content for the test, and returns the address of its file."""

    def publish(source, content, kind="sha256"):
        published = tmp_path / "published"
        published.mkdir(exist_ok=True)
        known = builtin.MNIST if source == "mnist" else builtin.CIFAR.get(source) or builtin.FASHION_MNIST[source]
        path = published / known.url.rpartition("/")[2]
        path.write_bytes(content)
        digest = hashlib.new(kind, content).hexdigest()
        file = replace(known, url=path.as_uri(), size=len(content), digest=digest)
        if source == "mnist":
            monkeypatch.setattr(builtin, "MNIST", file)
        else:
            monkeypatch.setitem(builtin.CIFAR if source in builtin.CIFAR else builtin.FASHION_MNIST, source, file)
        return path

    return publish


def mnist(count=5):
    """Return MNIST's four arrays, a few examples of them, and the file that Keras publishes."""
    generator = np.random.default_rng(0)
    arrays = {
        f"{letter}_{split}": generator.integers(0, 10, (count, 28, 28) if letter == "x" else count, np.uint8)
        for split in ("train", "test")
        for letter in "xy"
    }
    content = io.BytesIO()
    np.savez(content, **arrays)
    return arrays, content.getvalue()


def archive(folder, batches):
    """Return a CIFAR archive with these pickles."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, batch in batches.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(batch)
            packed.addfile(info, io.BytesIO(batch))
    return content.getvalue()


def batch(seed, count=3):
    """Return a batch in CIFAR's layout, pickled with NumPy 1's names as the published ones are."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (count, 3072), np.uint8)
    labels = generator.integers(0, 10, count).tolist()
    pickled = pickle.dumps({b"data": pixels, b"labels": labels, b"fine_labels": labels, b"batch_label": b"x"}, 3)
    return pickled.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def cifar(source):
    """Return a CIFAR archive with three examples in every batch."""
    return archive(FOLDERS[source], {name: batch(seed) for seed, name in enumerate(CIFAR_BATCHES[source])})


def test_mnist_is_downloaded_once(publish, keras_home, capsys):
    """The arrays come as they are published, stay where Keras looks for them, and are not fetched again."""
    arrays, content = mnist()
    path = publish("mnist", content)
    found = builtin.download("mnist")
    assert np.array_equal(found.images["train"][..., 0], arrays["x_train"])
    assert np.array_equal(found.labels["test"], arrays["y_test"])
    assert [file.name for file in (keras_home / "datasets").iterdir()] == ["mnist.npz"]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"downloading {path.as_uri()} ({len(content) / 1e6:.1f} MB)\n"
    path.unlink()
    assert np.array_equal(builtin.download("mnist").images["test"][..., 0], arrays["x_test"])
    assert capsys.readouterr().err == ""


def test_fashion_mnist_is_read_from_its_four_files(publish, keras_home):
    """Images and labels in the original MNIST's format, checked by MD5."""
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (4, 28, 28), np.uint8), np.arange(4, dtype=np.uint8)
    for split in ("train", "test"):
        sizes = b"".join(size.to_bytes(4, "big") for size in images.shape)
        publish(f"x_{split}", gzip.compress(b"\0\0\x08\x03" + sizes + images.tobytes()), "md5")
        publish(f"y_{split}", gzip.compress(b"\0\0\x08\x01" + sizes[:4] + labels.tobytes()), "md5")
    found = builtin.download("fashion_mnist")
    for split in ("train", "test"):
        assert np.array_equal(found.images[split][..., 0], images)
        assert found.labels[split].tolist() == [0, 1, 2, 3]
    assert len(list((keras_home / "datasets" / "fashion-mnist").iterdir())) == 4


@pytest.mark.engine
@pytest.mark.parametrize("source", ["mnist", "cifar100"])
def test_what_keras_downloaded_is_found_and_read_alike(source, publish, tmp_path, monkeypatch, capfd):
    """Keras's own `load_data` fills the cache: nothing is fetched, and the arrays are equal."""
    import keras
    from keras.src.datasets import cifar100
    from keras.src.datasets import mnist as keras_mnist
    from keras.src.utils import file_utils

    path = publish(source, mnist()[1] if source == "mnist" else cifar(source))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def get_file(fname, origin, file_hash, **options):
        return file_utils.get_file(fname, path.as_uri(), file_hash=digest, cache_dir=str(tmp_path / "keras"), **options)

    for module in (cifar100, keras_mnist):
        monkeypatch.setattr(module, "get_file", get_file)
    (tmp_path / "keras").mkdir(exist_ok=True)
    (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, source).load_data()
    path.unlink()
    capfd.readouterr()
    found = builtin.download(source)
    assert capfd.readouterr().err == ""
    for split, images, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
        assert np.array_equal(found.images[split].reshape(images.shape), images)
        assert np.array_equal(found.labels[split], np.ravel(labels))


@pytest.mark.engine
def test_the_addresses_names_and_digests_are_those_of_keras(monkeypatch):
    """For every file that Keras fetches: where from, where to, with which digest."""
    import inspect

    import keras

    for source, file in {"mnist": builtin.MNIST, **builtin.CIFAR}.items():
        code = inspect.getsource(inspect.getmodule(getattr(keras.datasets, source).load_data))
        address, name = file.url.rpartition("/")[::2]
        assert address in code
        assert name in code
        assert f'"{file.digest}"' in code
        assert f'"{file.name.removesuffix("_archive")}"' in code
    code = inspect.getsource(inspect.getmodule(keras.datasets.fashion_mnist.load_data))
    for file in builtin.FASHION_MNIST.values():
        address, name = file.url.rpartition("/")[::2]
        assert address in code
        assert f'"{name}"' in code
        assert file.name == f"fashion-mnist/{name}"


def test_the_cache_is_below_home_unless_keras_home_is_set(monkeypatch, tmp_path):
    """`~/.keras/datasets`, as `keras.utils.get_file` has it."""
    assert download.folder() == tmp_path / "keras" / "datasets"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert download.folder() == tmp_path / ".keras" / "datasets"


def test_a_damaged_file_in_the_cache_is_downloaded_again(publish, keras_home, capsys):
    """Half a file, left by another program, is neither opened nor kept."""
    arrays, content = mnist()
    publish("mnist", content)
    cached = keras_home / "datasets" / "mnist.npz"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content[:1000])
    assert np.array_equal(builtin.download("mnist").labels["train"], arrays["y_train"])
    assert cached.read_bytes() == content
    assert f"{cached} is damaged and is downloaded again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message", "left"),
    [
        (lambda content: b"\0" + content[1:], "is not the published mnist.npz: its SHA-256 is", []),
        (lambda content: content[:-1], "ended after", ["mnist.npz.part"]),
    ],
    ids=["another", "shorter"],
)
def test_another_file_than_the_published_one_is_refused(change, message, left, publish, keras_home):
    """It never gets the name under which it would be opened; only what a later download can go on from is kept."""
    _, content = mnist()
    path = publish("mnist", content)
    path.write_bytes(change(content))
    with pytest.raises(DataError, match=message) as caught:
        builtin.download("mnist")
    assert "data.path" in caught.value.hint
    assert [path.name for path in (keras_home / "datasets").iterdir()] == left


def test_no_more_is_read_than_the_file_has(publish, keras_home, monkeypatch):
    """A server that never ends cannot fill the disk."""

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size=-1):
            assert size > 0
            Endless.given += size
            return b"x" * size

    _, content = mnist()
    publish("mnist", content)
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: Endless())
    with pytest.raises(DataError, match="is not the published"):
        builtin.download("mnist")
    assert Endless.given == len(content)


def test_without_a_network_it_is_one_clear_error(monkeypatch, capsys):
    """The error says what to do, and nothing is on stdout."""

    def fail(url, timeout):
        raise URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(DataError) as caught:
        builtin.download("cifar10")
    assert caught.value.message == (
        "cifar10 could not be downloaded: https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz: "
        "[Errno -2] Name or service not known"
    )
    assert "data.path" in caught.value.hint
    assert capsys.readouterr().out == ""


class CutOff(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, but ends the connection in the middle of every file called cut.npz."""

    def log_message(self, *arguments):
        """Say nothing."""

    def copyfile(self, source, outputfile):
        """Send a file, or half of it."""
        content = source.read()
        outputfile.write(content[: len(content) // 2] if self.path.endswith("cut.npz") else content)


@pytest.mark.parametrize(
    ("name", "error"), [("mnist.npz", None), ("cut.npz", "ended after"), ("missing.npz", "HTTP Error 404")]
)
def test_what_a_server_does(name, error, publish, monkeypatch, tmp_path):
    """A whole file is read; one that ends too early, or is not there, is a clear error."""
    arrays, content = mnist()
    path = publish("mnist", content)
    (path.parent / "cut.npz").write_bytes(content)
    handler = functools.partial(CutOff, directory=path.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(
            builtin, "MNIST", replace(builtin.MNIST, url=f"http://127.0.0.1:{server.server_port}/{name}")
        )
        try:
            if error is None:
                assert np.array_equal(builtin.download("mnist").labels["train"], arrays["y_train"])
            else:
                with pytest.raises(DataError, match=error):
                    builtin.download("mnist")
        finally:
            server.shutdown()
            thread.join()


def test_a_long_download_says_how_far_it_is(publish, monkeypatch, capsys):
    """A line on stderr now and then."""
    publish("mnist", mnist()[1])
    monkeypatch.setattr(download, "_NOTE_EVERY", 0.0)
    builtin.download("mnist")
    assert "\ndownloaded 0.0 of 0.0 MB\n" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["cifar10", "cifar100"])
def test_an_original_archive_is_read(source, publish):
    """The published archive gives images (number, 32, 32, 3) and labels, in the order of its batches."""
    path = publish(source, cifar(source))
    arrays = builtin.read_cifar(source, path)
    count = 3 * (len(CIFAR_BATCHES[source]) - 1)
    first = np.random.default_rng(0).integers(0, 256, (3, 3072), np.uint8)[0].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(arrays.images["train"][0], first)
    assert arrays.images["train"].shape == (count, 32, 32, 3)
    assert arrays.labels["train"].shape == (count,)
    last = np.random.default_rng(len(CIFAR_BATCHES[source]) - 1)
    last.integers(0, 256, (3, 3072), np.uint8)
    assert arrays.labels["test"].tolist() == last.integers(0, 10, 3).tolist()


class Malice:
    """A pickle that would do something."""

    def __reduce__(self):
        return (exec, ("import sys; sys.cnncli_was_here = True",))


class HiddenMalice:
    """A pickle that reaches what it needs through an attribute of what is allowed."""

    def __reduce__(self):
        return (getattr, (np.ndarray, "tofile"))


@pytest.mark.parametrize("evil", [Malice(), HiddenMalice(), io.BytesIO, np.fromfile], ids=lambda evil: str(evil)[:20])
@pytest.mark.parametrize("published", [False, True])
def test_a_malicious_pickle_never_runs(evil, published, publish, tmp_path):
    """Another archive is refused unopened; even one with the right digest could only make arrays."""
    pickled = pickle.dumps({b"data": evil, b"labels": []}, protocol=2)
    content = archive("cifar-10-batches-py", {f"data_batch_{i}": pickled for i in range(1, 6)})
    if published:
        path = publish("cifar10", content)
    else:
        path = tmp_path / "cifar-10-python.tar.gz"
        path.write_bytes(content)
    with pytest.raises(DataError, match="only arrays are read" if published else "is not the published"):
        builtin.read_cifar("cifar10", path)
    assert not hasattr(sys, "cnncli_was_here")


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        archive("cifar-10-batches-py", {}),
        archive("cifar-10-batches-py", dict.fromkeys(CIFAR_BATCHES["cifar10"], b"\x80\x04N.")),
        archive("cifar-10-batches-py", dict.fromkeys(CIFAR_BATCHES["cifar10"], b"\x80\x04}.")),
        archive("cifar-10-batches-py", dict.fromkeys(CIFAR_BATCHES["cifar10"], b"")),
    ],
    ids=["text", "no batches", "not a dictionary", "no arrays", "empty"],
)
def test_an_archive_of_something_else_is_one_clear_error(content, publish):
    """Whatever it holds, with the right digest."""
    with pytest.raises(DataError, match="not an archive of cifar10"):
        builtin.read_cifar("cifar10", publish("cifar10", content))
