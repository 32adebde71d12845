"""Files of weights from a server on 127.0.0.1 that ends early, gives another file, or is not there."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.datasets.download import PublishedFile, open_published
from cnncli.errors import DataError

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server(http.server.ThreadingHTTPServer):
    """Gives CONTENT, and notes what is asked for.

    Attributes:
        ends: Byte at which each answer ends, of the file; None for the end.
        has_ranges: Whether it gives parts.
        has_size: Whether it says how long the file is.
        asked: The range that each request named.
    """

    ends: int | None = None
    has_ranges = True
    has_size = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    def file(self, digest: str | None) -> PublishedFile:
        """Return what it publishes."""
        return PublishedFile(f"http://127.0.0.1:{self.server_port}/weights.h5", "weights.h5", None, digest, "models")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a request."""

    server: Server

    def do_GET(self) -> None:
        """Send the file, or the part that is asked for."""
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.has_ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if self.server.has_size:
            self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.ends])

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server that runs."""
    with Server() as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.01,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have Keras's cache in a folder of the test's own, and return where models lie."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


MD5 = hashlib.md5(CONTENT).hexdigest()
WITH_HASH = pytest.mark.parametrize("digest", [MD5, None], ids=["hash", "no hash"])


def read(file: PublishedFile) -> bytes:
    """Return a file's content, downloaded where need be."""
    with open_published(file) as opened:
        return opened.read()


def names(folder: Path) -> list[str]:
    """Return what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


@WITH_HASH
def test_it_is_downloaded_once(digest: str | None, server: Server, models: Path) -> None:
    """It lies where Keras would look for it, and nothing else does."""
    assert read(server.file(digest)) == read(server.file(digest)) == CONTENT
    assert server.asked == [None]
    assert names(models) == ["weights.h5"]


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_cut_download_goes_on_where_it_ended(has_ranges: bool, server: Server, models: Path) -> None:
    """The rest alone is asked for; a server that gives no parts is read from the start."""
    server.ends, server.has_ranges = 1_000_000, has_ranges
    with pytest.raises(OSError, match="ended after 1,000,000 of 3,000,000 bytes"):
        read(server.file(MD5))
    assert names(models) == ["weights.h5.part"]
    server.ends = None
    assert read(server.file(MD5)) == CONTENT
    assert server.asked == [None, "bytes=1000000-"]
    assert names(models) == ["weights.h5"]


def test_a_cut_download_without_a_hash_leaves_nothing(server: Server, models: Path) -> None:
    """Nothing could tell later whether its part is of the same file."""
    server.ends = 1_000_000
    with pytest.raises(OSError, match="ended after"):
        read(server.file(None))
    assert names(models) == []


@pytest.mark.parametrize("kept", [b"", b"another start"])
def test_another_file_is_refused(kept: bytes, server: Server, models: Path) -> None:
    """Nothing of it stays, neither where a part of another file was kept."""
    models.mkdir(parents=True)
    if kept:
        (models / "weights.h5.part").write_bytes(kept)
    with pytest.raises(DataError, match=r"is not the published weights\.h5: its MD5 is"):
        read(server.file(MD5 if kept else "0" * 32))
    assert names(models) == []


def test_a_part_as_long_as_the_file_is_read_from_the_start(server: Server, models: Path) -> None:
    """As after a kill between the last byte and the check."""
    models.mkdir(parents=True)
    (models / "weights.h5.part").write_bytes(CONTENT)
    assert read(server.file(MD5)) == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-", None]


def test_a_server_that_says_no_size_is_refused(server: Server, models: Path) -> None:
    """Without it, nothing tells a cut file from a whole one."""
    server.has_size = False
    with pytest.raises(OSError, match="the server says no size"):
        read(server.file(None))
    assert names(models) == []


def test_no_network(server: Server, models: Path) -> None:
    """One error, and nothing is kept."""
    file = server.file(MD5)
    server.server_close()
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        read(PublishedFile("http://127.0.0.1:9/weights.h5", file.name, None, MD5, "models"))
    assert names(models) == []
