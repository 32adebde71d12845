"""What Keras downloads or reads for us: errors, silence on stdout, and no pickle that is not the published one."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
import tarfile

import numpy as np
import pytest

from cnncli.errors import DataError

pytestmark = pytest.mark.engine


def test_a_failed_download_is_one_clear_error(monkeypatch, capsys):
    """Without a network, the error says to set data.path, and nothing is on stdout."""
    import keras

    from cnncli.datasets.download import download

    def fail():
        print("Downloading data from somewhere")
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    with pytest.raises(DataError, match="cifar10 could not be downloaded: URL fetch failure") as caught:
        download("cifar10")
    assert "data.path" in caught.value.hint
    assert capsys.readouterr().out == ""


def archive(path, folder, batches):
    """Write a CIFAR archive with these pickles."""
    with tarfile.open(path, "w:gz") as packed:
        for name, content in batches.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


def batch(seed, key, count=3):
    """Return a batch in CIFAR's layout."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)
    return pixels, pickle.dumps({b"data": pixels, key: list(range(count))}, protocol=4)


def publish(monkeypatch, source, path):
    """Pretend that this archive is the published one."""
    from cnncli.datasets import download as builtin

    folder = builtin._ARCHIVES[source][0]
    monkeypatch.setitem(builtin._ARCHIVES, source, (folder, hashlib.sha256(path.read_bytes()).hexdigest()))


@pytest.mark.parametrize(("source", "key"), [("cifar10", b"labels"), ("cifar100", b"fine_labels")])
def test_an_original_archive_is_read(source, key, tmp_path, monkeypatch):
    """The published archive gives images (number, 32, 32, 3) and labels, in the order of its batches."""
    from cnncli.datasets.download import _ARCHIVES, read_archive

    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"] if source == "cifar10" else ["train", "test"]
    made = {name: batch(seed, key) for seed, name in enumerate(names)}
    content = {name: content for name, (_, content) in made.items()}
    path = archive(tmp_path / "cifar.tar.gz", _ARCHIVES[source][0], content)
    publish(monkeypatch, source, path)
    arrays = read_archive(source, path)
    first = made[names[0]][0][0].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(arrays["x_train"][0], first)
    assert arrays["x_train"].shape == (3 * (len(names) - 1), 32, 32, 3)
    assert arrays["y_test"].tolist() == [0, 1, 2]


class Malice:
    """A pickle that would do something."""

    def __reduce__(self):
        return (exec, ("import sys; sys.cnncli_was_here = True",))


@pytest.mark.parametrize("published", [False, True])
def test_a_malicious_pickle_never_runs(published, tmp_path, monkeypatch):
    """Another archive is refused unopened; even one with the right hash could only make arrays."""
    from cnncli.datasets.download import read_archive

    evil = pickle.dumps({b"data": Malice(), b"labels": []}, protocol=2)
    path = archive(tmp_path / "c.tar.gz", "cifar-10-batches-py", {f"data_batch_{i}": evil for i in range(1, 6)})
    if published:
        publish(monkeypatch, "cifar10", path)
    with pytest.raises(DataError):
        read_archive("cifar10", path)
    assert not hasattr(sys, "cnncli_was_here")
