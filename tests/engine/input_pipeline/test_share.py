"""Which rows of a batch a worker takes: together all of them, each once, and from a feed exactly these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.config.schema.schema import Data
from cnncli.datasets.splits import Split
from cnncli.datasets.targets import ClassNumbers

pytestmark = pytest.mark.engine

NUMBERS = np.arange(23)
BATCH, SEED = 5, 9
POWERS = (1, 2, 4, 8, 16)


def shard_of(row: int, num_rows: int, shards: int) -> int:
    """Return the shard that a row is in: the last one that begins at it or before."""
    return max(shard for shard in range(shards) if num_rows * shard // shards <= row)


@pytest.mark.parametrize("shards", POWERS)
def test_shares_cover_a_batch(shards: int) -> None:
    """Every row is in one worker's share, in order; a worker whose shards are empty has one row that is not its own."""
    from cnncli.engine.input_pipeline.share import Share

    for num_rows in range(1, 41):
        owners = [shard_of(row, num_rows, shards) for row in range(num_rows)]
        for num_workers in (power for power in POWERS if power <= shards):
            taken: list[int] = []
            for rank in range(num_workers):
                share = Share.of(shards, rank, num_workers)
                own = [row for row, shard in enumerate(owners) if shard in share.numbers]
                rows = list(range(num_rows))[share.rows(num_rows)]
                assert rows == own or (not own and len(rows) == 1)
                taken += own
            assert taken == list(range(num_rows))


@pytest.mark.parametrize(
    ("num_rows", "shards", "sizes"), [(8, 8, [1] * 8), (13, 4, [3, 3, 3, 4]), (3, 4, [0, 1, 1, 1]), (1, 2, [0, 1])]
)
def test_shards_are_cut_evenly(num_rows: int, shards: int, sizes: list[int]) -> None:
    """The cuts are at n·i/V, rounded down."""
    owners = [shard_of(row, num_rows, shards) for row in range(num_rows)]
    assert [owners.count(shard) for shard in range(shards)] == sizes


def memory_feed(share: Any, _: Path) -> Any:
    """Return a feed of 23 images of 2×3 pixels, each filled with its own number."""
    from cnncli.engine.input_pipeline.feed import MemoryFeed
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    images = np.broadcast_to(NUMBERS[:, None, None, None], (23, 2, 3, 1)).astype(np.uint8)
    split = Split("train", images, ClassNumbers(NUMBERS), [str(number) for number in NUMBERS])
    return MemoryFeed(split, Preprocessing(Data(source="digits", image_size=(2, 3))), SEED, BATCH, share)


def stream_feed(share: Any, folder: Path) -> Any:
    """Return a feed of the same images in files."""
    from cnncli.datasets.files import Files
    from cnncli.datasets.scan import scan
    from cnncli.datasets.store import Folder
    from cnncli.engine.input_pipeline.decoder import Decoder
    from cnncli.engine.input_pipeline.feed import StreamFeed
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    root = folder / "images"
    root.mkdir(exist_ok=True)
    for number in NUMBERS.tolist():
        Image.new("L", (3, 2), number).save(root / f"{number:02}.png")
    listing = (store := Folder(root)).listing()
    found = scan(Files.of(store, listing.names, 1), listing.stamps)
    files = Files(store, listing.names, 1, found.facts.plain, found.facts.sizes, found.stamps, found.contents)
    decoder = Decoder(files, Preprocessing(Data(source="folder", path="x", image_size=(2, 3))))
    split = Split("train", files, ClassNumbers(NUMBERS), list(listing.names))
    return StreamFeed(split, decoder, SEED, BATCH, share)


def order_of(epoch: int) -> np.ndarray:
    """Return an epoch's order."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([SEED, epoch]))).permutation(23)


@pytest.mark.parametrize("make", [memory_feed, stream_feed])
@pytest.mark.parametrize(("shards", "num_workers"), [(2, 2), (8, 2), (8, 8)])
def test_a_feed_gives_a_worker_its_rows(
    make: Any, shards: int, num_workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any batch of any epoch on, also of the last one with three examples, and none of the others' rows."""
    from cnncli.engine.input_pipeline.share import Share

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for rank in range(num_workers):
        share = Share.of(shards, rank, num_workers)
        feed = make(share, tmp_path)
        for epoch, first, most in ((0, 0, 9), (0, 4, 1), (1, 2, 1), (1, 3, 9), (1, 4, 9), (0, 1, 2)):
            chunk = feed.chunk(epoch, first, most)
            num_batches = 1 if first == 4 else min(most, 4 - first)
            batches = [order_of(epoch)[BATCH * batch :][:BATCH] for batch in range(first, first + num_batches)]
            expected = [batch[share.rows(len(batch))].tolist() for batch in batches]
            assert chunk.batch_size == len(batches[0])
            assert chunk.num_examples == sum(map(len, batches))
            assert np.asarray(chunk.images)[chunk.plan, 1, 2, 0].tolist() == expected
            assert np.asarray(chunk.targets)[chunk.plan].tolist() == expected
        first = feed.first_batch()
        assert np.asarray(first.images)[first.plan[0], 1, 2, 0].tolist() == order_of(0)[:BATCH].tolist()
