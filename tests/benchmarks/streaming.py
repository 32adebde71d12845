"""Images per second from a folder of JPEG files, beside Keras in the same run, and memory as the folder grows.

    python tests/benchmarks/streaming.py --number 2000 --repeats 7
        [--source-size 300] [--image-size 224] [--memory-number 500]

Both pipelines decode and resize the same files in the same order, batch 32, without training; runs alternate, and
Keras's is `image_dataset_from_directory` with prefetch. Prints the median images per second of each, the median of the
pairwise ratios, and the processor time an image. Then a process of its own streams a folder, and another one ten times
as large: the peak memory of each, and by how much it grew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

BATCH = 32


def write_photos(folder: Path, number: int, size: int) -> None:
    """Write JPEG files with about the detail of photographs into two class folders."""
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for index in range(number):
        generator = np.random.default_rng(index)
        coarse = Image.fromarray(generator.integers(0, 256, (size // 10, size // 10, 3), np.uint8))
        pixels = np.asarray(coarse.resize((size, size))).astype(np.int16)
        noisy = (pixels + generator.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / "ab"[index % 2] / f"{index:06}.jpg", quality=85)


def our_pipeline(folder: Path, image_size: int) -> Callable[[], int]:
    """Return a function that streams the folder once through cnncli and counts the images."""
    from cnncli import datasets
    from cnncli.config.schema.schema import Config, Data
    from cnncli.engine.input_pipeline.decoder import Decoder
    from cnncli.engine.input_pipeline.feed import StreamFeed
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    size = (image_size, image_size)
    data = Data(source="folder", path=str(folder), image_size=size, channels=3, validation=0.0)
    split = datasets.load(Config.model_construct(name="benchmark", seed=0, nodes=(), data=data)).train
    feed = StreamFeed(split, Decoder(split.images, Preprocessing(data)), seed=0, batch_size=BATCH)

    def run() -> int:
        batch, seen = 0, 0
        while seen < len(split):
            chunk = feed.chunk(0, batch, 1)
            batch, seen = batch + 1, seen + chunk.plan.size
        return seen

    return run


def keras_pipeline(folder: Path, image_size: int) -> Callable[[], int]:
    """Return a function that streams the folder once through Keras and counts the images."""
    import keras
    import tensorflow as tf

    size = (image_size, image_size)
    files = keras.utils.image_dataset_from_directory(folder, image_size=size, batch_size=BATCH, verbose=False, seed=0)
    batches = files.prefetch(tf.data.AUTOTUNE)
    return lambda: sum(len(labels) for _, labels in batches)


def timed(run: Callable[[], int]) -> tuple[float, float]:
    """Return images per second, and processor milliseconds an image."""
    begun, cpu = time.perf_counter(), time.process_time()
    number = run()
    return number / (time.perf_counter() - begun), 1e3 * (time.process_time() - cpu) / number


def compare(folder: Path, image_size: int, repeats: int) -> dict[str, float]:
    """Run both pipelines by turns."""
    return in_turn(our_pipeline(folder, image_size), keras_pipeline(folder, image_size), repeats)


def in_turn(ours: Callable[[], int], keras: Callable[[], int], repeats: int) -> dict[str, float]:
    """Return how fast two runs over the same images are, by turns, after a run of each to warm up."""
    for run in (ours, keras):
        run()
    pairs = [(timed(ours), timed(keras)) for _ in range(repeats)]
    return {
        "images_per_second": median(one[0] for one, _ in pairs),
        "keras_images_per_second": median(other[0] for _, other in pairs),
        "ratio": median(one[0] / other[0] for one, other in pairs),
        "cpu_ms": median(one[1] for one, _ in pairs),
        "keras_cpu_ms": median(other[1] for _, other in pairs),
    }


def print_rates(figures: dict[str, float], repeats: int) -> None:
    """Print what `in_turn` found."""
    print(f"cnncli  {figures['images_per_second']:7,.0f} images/s  {figures['cpu_ms']:.2f} ms of processor an image")
    print(f"keras   {figures['keras_images_per_second']:7,.0f} images/s  {figures['keras_cpu_ms']:.2f} ms")
    print(f"ratio   {figures['ratio']:.2f}  (median of {repeats} pairs; load {os.getloadavg()[0]:.1f})")


def peak_memory(folder: Path, image_size: int) -> int:
    """Stream a folder in a process of its own and return the most bytes that it held."""
    command = [sys.executable, __file__, "--stream", str(folder), "--image-size", str(image_size)]
    return int(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def stream(folder: Path, image_size: int) -> int | None:
    """Stream a folder once and return the most bytes that were held; the process of its own."""
    from cnncli import resources

    our_pipeline(folder, image_size)()
    return resources.peak_memory()


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Stream a folder of JPEG files.")
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--source-size", type=int, default=300)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--memory-number", type=int, default=500)
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stream is not None:
        print(stream(given.stream, given.image_size))
        return 0
    with TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = str(Path(temporary) / "cache")
        photos = Path(temporary) / "photos"
        write_photos(photos, given.number, given.source_size)
        figures = compare(photos, given.image_size, given.repeats)
        print_rates(figures, given.repeats)
        peaks = []
        for times in (1, 10):
            folder = Path(temporary) / f"grown-{times}"
            write_photos(folder, given.memory_number * times, given.source_size)
            peaks.append(peak_memory(folder, given.image_size))
            print(f"peak memory {peaks[-1] / 1e6:,.0f} MB for {given.memory_number * times:,} files")
        print(f"growth  {peaks[1] / peaks[0] - 1:+.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
