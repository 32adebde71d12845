"""Images per second of `cnn predict` on a folder of JPEG files beside Keras in the same run, and memory as it grows.

    python tests/benchmarks/predict_speed.py [--number 1000] [--rounds 5] [--image-size 64] [--memory-number 1000]

Both classify the same files, of 500 × 400 pixels, with the same network, after a round of each to warm up; rounds
alternate. Keras's is `image_dataset_from_directory` and `predict` with its own batch size. Ours also looks at each file
for what must be turned or has colours of its own, and writes the CSV. Prints the median images per second of each, the
median of the pairwise ratios, and the processor time an image. A third line, "bare", is of TensorFlow's operations
alone, by turns with Keras as well: read, decode exactly, resize, compute. No program that answers as training did can
do with less, so its ratio is about the most that is to be had. Then processes of their own predict for a folder and for
one ten times as large: the peak memory of each, and by how much it grew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from streaming import in_turn, print_rates

SIZE = (400, 500)
CONFIG = """
name: net
data: {{source: folder, path: {path}, image_size: [{size}, {size}], channels: 3}}
model:
  layers:
    - Conv2D: {{filters: 16, kernel_size: 3, activation: relu}}
    - MaxPooling2D
    - Conv2D: {{filters: 32, kernel_size: 3, activation: relu}}
    - GlobalAveragePooling2D
    - Dense: {{units: 2}}
train: {{epochs: 1}}
"""


def write_photos(folder: Path, number: int, kinds: int = 100) -> None:
    """Write JPEG files with about the detail of photographs into two class folders; `kinds` different ones."""
    for name in "ab":
        (folder / name).mkdir(parents=True)
    height, width = SIZE
    for index in range(number):
        path = folder / "ab"[index % 2] / f"{index:06}.jpg"
        if index >= kinds:
            os.link(folder / "ab"[index % 2] / f"{index % kinds:06}.jpg", path)
            continue
        generator = np.random.default_rng(index)
        coarse = Image.fromarray(generator.integers(0, 256, (height // 10, width // 10, 3), np.uint8))
        pixels = np.asarray(coarse.resize((width, height))).astype(np.int16)
        noisy = (pixels + generator.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(path, quality=85)


def write_config(folder: Path, image_size: int) -> Path:
    """Write the config of a small network that trains for an epoch, and photos for it; return the config's path."""
    write_photos(folder / "small", 40)
    path = folder / "net.yaml"
    path.write_text(CONFIG.format(path=folder / "small", size=image_size), encoding="utf-8")
    return path


def train(folder: Path, image_size: int) -> Path:
    """Train the network in a process of its own and return its run."""
    config = write_config(folder, image_size)
    command = [sys.executable, "-m", "cnncli", "train", str(config), "--runs-dir", str(folder / "runs")]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def our_prediction(run: Path, photos: Path) -> Callable[[], int]:
    """Return a function that does what `cnn predict --csv` does, and returns the number of lines."""
    from cnncli.datasets.pictures import pictures
    from cnncli.engine.evaluation.predict import RunNetwork
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.report.files import text_file
    from cnncli.runs.find import find
    from cnncli.serving.predict import predict
    from cnncli.tasks.predictions import PredictionsCsv

    trained = load_trained(find(str(run), run.parent), "best")
    network = RunNetwork(trained)

    def predicted() -> int:
        with text_file(run.parent / "predictions.csv") as file:
            table, number = PredictionsCsv(file), 0
            for number, one in enumerate(predict(network, pictures([str(photos)])), 1):  # noqa: B007
                table.add(one)
            table.close()
        return number

    return predicted


def keras_prediction(run: Path, photos: Path, image_size: int) -> Callable[[], int]:
    """Return a function that classifies the folder with Keras alone, and returns the number of images."""
    import keras

    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.runs.find import find

    network: Any = load_trained(find(str(run), run.parent), "best").model
    size = (image_size, image_size)
    layers = [keras.Input((*size, 3)), keras.layers.Rescaling(1 / 255), network, keras.layers.Softmax()]
    model = keras.Sequential(layers)

    def predicted() -> int:
        files = keras.utils.image_dataset_from_directory(
            photos, labels=None, image_size=size, shuffle=False, verbose=False
        )
        return len(model.predict(files, verbose=0))

    return predicted


def bare_prediction(run: Path, photos: Path) -> Callable[[], int]:
    """Return a function that does nothing but the operations no prediction can do without."""
    import tensorflow as tf

    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.input_pipeline.decoder import decode_jpeg
    from cnncli.resources import available_threads
    from cnncli.runs.find import find
    from cnncli.tasks.outputs import BATCH_SIZE

    trained = load_trained(find(str(run), run.parent), "best")
    resize = trained.preprocessing.resize_uint8
    forward = tf.function(lambda images: trained.model(trained.preprocessing.to_float(images), training=False))
    paths = sorted(str(path) for path in photos.rglob("*.jpg"))

    def image(path: tf.Tensor) -> tf.Tensor:
        pixels = tf.ensure_shape(decode_jpeg(tf.io.read_file(path), 3), (*SIZE, 3))
        return resize(pixels[tf.newaxis])[0]

    def predicted() -> int:
        threads = 2 * available_threads()
        images = tf.data.Dataset.from_tensor_slices(paths).map(image, num_parallel_calls=threads)
        return sum(len(forward(batch)) for batch in images.batch(BATCH_SIZE).prefetch(1))

    return predicted


def compare(run: Path, photos: Path, image_size: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Predict by turns: ours and Keras, then the bare operations and Keras."""
    keras = keras_prediction(run, photos, image_size)
    return in_turn(our_prediction(run, photos), keras, rounds), in_turn(bare_prediction(run, photos), keras, rounds)


def peak_memory(run: Path, photos: Path) -> int:
    """Predict in a process of its own and return the most bytes that it held."""
    command = [sys.executable, __file__, "--predict", str(run), str(photos)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Classify a folder of JPEG files.")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--memory-number", type=int, default=1000)
    parser.add_argument("--predict", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.predict is not None:
        from cnncli import resources

        our_prediction(*given.predict)()
        print(resources.peak_memory())
        return 0
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        run = train(folder, given.image_size)
        write_photos(folder / "photos", given.number)
        figures, bare = compare(run, folder / "photos", given.image_size, given.rounds)
        print_rates(figures, given.rounds)
        print(f"bare    {bare['images_per_second']:,.0f} images/s  {bare['cpu_ms']:.2f} ms; ratio {bare['ratio']:.2f}")
        peaks = []
        for times in (1, 10):
            grown = folder / f"grown-{times}"
            write_photos(grown, given.memory_number * times)
            peaks.append(peak_memory(run, grown))
            print(f"peak memory {peaks[-1] / 1e6:,.0f} MB for {given.memory_number * times:,} files")
        print(f"growth  {peaks[1] / peaks[0] - 1:+.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
