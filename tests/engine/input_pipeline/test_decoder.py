"""Streaming from files: the right pixels, every example once, from any batch on."""

from __future__ import annotations

import io
import os
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnncli.config.schema.schema import Data, Resize
from cnncli.datasets.archive import Archive
from cnncli.datasets.files import Files
from cnncli.datasets.scan import scan
from cnncli.datasets.splits import Split
from cnncli.datasets.store import Folder
from cnncli.datasets.targets import ClassNumbers
from cnncli.errors import DataError
from tests.datasets.icc import ADOBE_RGB, CURVE, GAMMA, SRGB, icc_profile, in_srgb

pytestmark = pytest.mark.engine


def photo(number, size):
    """Return a picture of its own for each number."""
    small = np.random.default_rng(number).integers(0, 256, (5, 4, 3), np.uint8)
    return Image.fromarray(small).resize(size)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twenty-three images of several formats, sizes and orientations."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "images"
    root.mkdir()
    for number in range(23):
        image = photo(number, (20 + number % 3, 16))
        kind = ("JPEG", "PNG", "JPEG", "WEBP")[number % 4]
        exif = Image.Exif()
        exif[274] = 6 if number % 5 == 0 else 1
        options = {"subsampling": number % 3, "quality": 70} if kind == "JPEG" else {}
        image.convert("L" if number % 7 == 0 else "RGB").save(root / f"{number:02}.img", kind, exif=exif, **options)
    return root


def files_of(store, channels=3):
    """Return the files of a store, measured."""
    listing = store.listing()
    files = Files.of(store, listing.names, channels)
    found = scan(files, listing.stamps)
    return Files(store, listing.names, channels, found.facts.plain, found.facts.sizes, found.stamps, found.contents)


def decoder_of(files, size=(8, 8), **resize):
    """Return a decoder to a size."""
    from cnncli.engine.input_pipeline.decoder import Decoder
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    data = Data(source="folder", path="x", image_size=size, channels=files.channels, resize=Resize(**resize))
    return Decoder(files, Preprocessing(data))


def expected(files, decoder):
    """Decode by Pillow and resize one by one."""
    images = [decoder._preprocessing.resize_uint8(files.decode(i)[None])[0].numpy() for i in range(len(files))]
    return np.stack(images)


def streamed(decoder, batch_size=4):
    """Return all images through the decoder."""
    return np.concatenate([b.numpy() for b in decoder.batches(np.arange(len(decoder), dtype=np.int32), batch_size)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_pixels_are_pillows(channels, fit, folder):
    """Mixed formats, sizes and orientations come out as Pillow decodes and preprocessing resizes them, to the bit."""
    files = files_of(Folder(folder), channels)
    decoder = decoder_of(files, (8, 10), fit=fit)
    assert np.array_equal(streamed(decoder), expected(files, decoder))


def test_plain_files_of_one_size_take_the_short_way(folder):
    """JPEG files of one size are decoded by TensorFlow alone, with and without resizing, to the same bits."""
    for number in range(23):
        photo(number, (20, 16)).save(folder / f"{number:02}.img", "JPEG", progressive=number % 2 == 0)
    files = files_of(Folder(folder))
    assert files.plain.all()
    for size in ((16, 20), (9, 7), (33, 40)):
        decoder = decoder_of(files, size)
        assert np.array_equal(streamed(decoder), expected(files, decoder))


def test_colour_profiles_are_pillow_s(folder):
    """A JPEG in Adobe RGB is decoded to sRGB, and one that says that it is sRGB goes the short way."""
    for number in range(23):
        profile = icc_profile(ADOBE_RGB, GAMMA) if number % 2 else icc_profile(SRGB, CURVE)
        photo(number, (20, 16)).save(folder / f"{number:02}.img", "JPEG", icc_profile=profile)
    files = files_of(Folder(folder))
    assert files.plain.tolist() == [number % 2 == 0 for number in range(23)]
    decoder = decoder_of(files, (16, 20))
    stored = [np.asarray(Image.open(folder / name)) for name in files.names]
    wanted = [in_srgb(pixels, ADOBE_RGB, GAMMA) if i % 2 else pixels for i, pixels in enumerate(stored)]
    assert np.abs(streamed(decoder) - np.stack(wanted)).max() <= 1.1


def test_a_zip_streams_as_its_folder(folder, tmp_path):
    """Archives are read in place, to the same images."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, file.name)
    packed, plain = files_of(Archive(tmp_path / "x.zip")), files_of(Folder(folder))
    assert np.array_equal(streamed(decoder_of(packed)), streamed(decoder_of(plain)))


def test_decoders_that_disagree_leave_all_to_pillow(folder, monkeypatch):
    """If TensorFlow gave other pixels here, it would decode nothing."""
    from cnncli.engine.input_pipeline import decoder

    files = files_of(Folder(folder))
    honest = decoder.decode_jpeg
    monkeypatch.setattr(decoder, "decode_jpeg", lambda content, channels: honest(content, channels) ^ 1)
    decoder = decoder_of(files)
    assert files.plain.any()
    assert not decoder._plain.any()
    assert np.array_equal(streamed(decoder), expected(files, decoder))


def test_slow_files_keep_their_place(folder, monkeypatch):
    """Files are decoded side by side, but come in order, however long each takes."""
    files = files_of(Folder(folder))
    files = Files.of(files.store, files.names, 3)
    decoder = decoder_of(files)
    whole, honest = expected(files, decoder), decoder._decode

    def slow(index):
        time.sleep(0.05 * (int(index) % 4 == 0))
        return honest(index)

    monkeypatch.setattr(decoder, "_decode", slow)
    assert np.array_equal(streamed(decoder), whole)


@pytest.mark.parametrize("place", [2, 3, 17])
def test_a_file_that_is_replaced_is_named(place, folder):
    """Another image of the same size, format and time in a file's place stops the stream, whatever decodes it."""
    files = files_of(Folder(folder))
    decoder = decoder_of(files)
    before = streamed(decoder)
    path = folder / f"{place:02}.img"
    status, kept = path.stat(), path.read_bytes()
    other = io.BytesIO()
    with Image.open(path) as image:
        photo(99, image.size).save(other, image.format)
    path.with_name("new").write_bytes(other.getvalue())
    os.utime(path.with_name("new"), ns=(status.st_atime_ns, status.st_mtime_ns))
    path.with_name("new").replace(path)
    with pytest.raises(DataError, match=f"{place:02}.img has changed since the examples were read"):
        streamed(decoder)
    path.write_bytes(kept)
    assert np.array_equal(streamed(decoder), before)


def test_files_are_hashed_in_doubt_alone(folder, monkeypatch):
    """A file touched is read once more and believed; the next epoch looks at stamps alone."""
    monkeypatch.setattr("cnncli.datasets.stamps.MARGIN", 0)
    files = files_of(Folder(folder))
    read, whole = [], Folder.read
    monkeypatch.setattr(Folder, "read", lambda store, name: (read.append(name), whole(store, name))[1])
    files.require_unchanged(np.arange(23, dtype=np.int32))
    assert read == []
    (folder / "05.img").touch()
    for _ in range(2):
        files.require_unchanged(np.arange(23, dtype=np.int32))
        assert read == ["05.img"]
    (folder / "06.img").unlink()
    with pytest.raises(DataError, match=r"06\.img: no such file"):
        files.require_unchanged(np.array([6], np.int32))


def test_an_archive_that_is_replaced_is_told(folder, tmp_path):
    """Another archive in the place of the one that was scanned: what is no longer where it was stops the stream."""
    path = tmp_path / "x.zip"
    for turn in range(2):
        with zipfile.ZipFile(path.with_name("new"), "w") as packed:
            for file in sorted(folder.iterdir()):
                packed.writestr(file.name, file.read_bytes() + b"\0" * (turn and file.name == "03.img"))
        path.with_name("new").replace(path)
        if not turn:
            decoder = decoder_of(files_of(Archive(path)))
            streamed(decoder)
    with pytest.raises(DataError, match=r"04\.img: the archive is damaged"):
        streamed(decoder)


def test_a_file_that_goes_bad_is_named(folder):
    """A file damaged after it was measured stops the stream with its name, wherever it stands."""
    files = files_of(Folder(folder))
    decoder = decoder_of(files)
    (folder / "14.img").write_bytes(b"\xff\xd8\xff\xe0 no longer an image")
    batches = decoder.batches(np.arange(23, dtype=np.int32), 4)
    assert len([next(batches) for _ in range(3)]) == 3
    with pytest.raises(DataError, match=r"14\.img"):
        next(batches)


def test_a_file_only_pillow_reads_is_read(folder):
    """A file that TensorFlow refuses though it was plain is decoded by Pillow, and nothing is lost or doubled."""
    files = replace(files_of(Folder(folder)), stamps=None)  # as if it had been so when it was scanned
    number = int(np.flatnonzero(files.plain)[3])
    decoder = decoder_of(files)
    content = io.BytesIO()
    photo(99, (20, 16)).save(content, "PNG")
    (folder / files.names[number]).write_bytes(content.getvalue())
    assert np.array_equal(streamed(decoder), expected(files, decoder))


def split_of(files):
    """Return files as a training split whose label is the file's number."""
    return Split("train", files, ClassNumbers(np.arange(len(files))), list(files.names))


def visited(feed, epoch, start, stop, max_batches=3):
    """Return the labels of batches `start` to `stop` of an epoch, and check that the images are theirs."""
    labels, batch = [], start
    while batch < stop:
        chunk = feed.chunk(epoch, batch, min(max_batches, stop - batch))
        assert (np.diff(chunk.plan.reshape(-1)) == 1).all()
        labels += chunk.targets.numpy()[chunk.plan.reshape(-1)].tolist()
        batch += len(chunk.plan)
    return labels


def test_every_example_once_an_epoch_across_a_resume(folder):
    """A stream entered at any batch goes on exactly as the one that was never left: none missed, none twice."""
    from cnncli.engine.input_pipeline.feed import StreamFeed, epoch_order

    files = files_of(Folder(folder))
    decoder, batches = decoder_of(files), 6
    feed = StreamFeed(split_of(files), decoder, seed=7, batch_size=4)
    for epoch in (0, 1):
        whole = visited(feed, epoch, 0, batches)
        assert whole == epoch_order(7, epoch, 23).tolist()
        for stop in range(1, batches):
            resumed = StreamFeed(split_of(files), decoder, seed=7, batch_size=4)
            again = visited(feed, epoch, 0, stop) + visited(resumed, epoch, stop, batches)
            assert again == whole
            assert sorted(again) == list(range(23))


def test_streams_and_memory_feed_the_same(folder):
    """A split that fits into memory and one that streams give the same batches."""
    from cnncli.engine.input_pipeline.feed import StreamFeed, make_feed

    files = files_of(Folder(folder))
    decoder = decoder_of(files)
    memory = make_feed(split_of(files), decoder._preprocessing, 3, 5)
    stream = StreamFeed(split_of(files), decoder, 3, 5)
    assert type(memory).__name__ == "MemoryFeed"
    for batch in range(5):
        one, other = memory.chunk(2, batch, 1), stream.chunk(2, batch, 1)
        left, right = (c.images.numpy()[c.plan[0]] for c in (one, other))
        assert np.array_equal(left, right)
        assert np.array_equal(one.targets.numpy()[one.plan[0]], other.targets.numpy()[other.plan[0]])


def test_the_first_batch_at_any_time(folder, monkeypatch):
    """In mid-epoch both feeds return the run's first batch; a stream decodes no more for it, and stays where it is."""
    from cnncli.engine.input_pipeline.decoder import Decoder
    from cnncli.engine.input_pipeline.feed import StreamFeed, epoch_order, make_feed

    files = files_of(Folder(folder))
    decoder = decoder_of(files)
    memory = make_feed(split_of(files), decoder._preprocessing, 3, 5)
    stream = StreamFeed(split_of(files), decoder, 3, 5)
    stream.chunk(1, 0, 2)
    before = stream._batches
    asked = []
    batches = Decoder.batches
    monkeypatch.setattr(
        Decoder, "batches", lambda self, order, size: asked.extend(order.tolist()) or batches(self, order, size)
    )
    one, other = memory.first_batch(), stream.first_batch()
    assert asked == epoch_order(3, 0, 23)[:5].tolist()
    assert np.array_equal(one.images.numpy()[one.plan[0]], other.images.numpy()[other.plan[0]])
    assert np.array_equal(one.targets.numpy()[one.plan[0]], other.targets.numpy()[other.plan[0]])
    assert stream._batches is before
    assert np.array_equal(stream.chunk(1, 2, 1).images, memory.images.numpy()[memory.chunk(1, 2, 1).plan[0]])
    assert asked == epoch_order(3, 0, 23)[:5].tolist()


def test_a_large_split_streams(folder, monkeypatch):
    """Above the memory limit the files stay files."""
    from cnncli.engine.input_pipeline import feed

    monkeypatch.setattr(feed, "MEMORY_LIMIT", 1000)
    files = files_of(Folder(folder))
    assert type(feed.make_feed(split_of(files), decoder_of(files)._preprocessing, 0, 5)).__name__ == "StreamFeed"


def test_slices_of_files(folder):
    """Files can be sliced like an array: forward in step, again, and out of step."""
    from cnncli.engine.input_pipeline.decoder import FileImages

    files = files_of(Folder(folder))
    decoder = decoder_of(files)
    images, whole = FileImages(decoder), expected(files, decoder)
    assert len(images) == 23
    bounds = [(0, 10), (10, 20), (20, 30), (0, 10), (5, 7), (7, 9), (22, 23), (0, 23)]
    for start, stop in bounds:
        assert np.array_equal(images[start:stop].numpy(), whole[start:stop]), (start, stop)
