"""A run's network as an artifact that answers as the run does, proven before it is kept."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.analysis.evaluation import log_softmax
from cnncli.datasets import load as load_splits
from cnncli.engine.evaluate import BATCH_SIZE, Predictor, Trained, load_trained
from cnncli.errors import ExportError
from cnncli.runs.run import Run

TOLERANCE = 1e-5
"""Largest difference of a probability that float32 rounding explains."""

NUM_EXAMPLES = 1000
"""Examples of the test split that every artifact is asked about."""

Probabilities = npt.NDArray[np.float32]
Answer = Callable[[npt.NDArray[np.uint8]], Probabilities]


@dataclass(frozen=True)
class Artifact:
    """An exported network and the proof that it answers as its run.

    Attributes:
        format: "keras" or "saved_model".
        path: File or directory.
        sha256: Digest of the file, or of a directory's files in the order of their names.
        bytes: Size.
        max_abs_diff: Largest difference of any probability on the examples.
        agreement: Share of examples with the same most probable class.
        num_examples: Number of examples compared.
    """

    format: str
    path: str
    sha256: str
    bytes: int
    max_abs_diff: float
    agreement: float
    num_examples: int


@dataclass(frozen=True)
class Format:
    """How one kind of artifact is written and asked.

    Attributes:
        suffix: End of the file's name.
        write: Writes the artifact to a path that ends in `suffix`.
        open: Opens it in its own runtime and returns what answers for uint8 images.
        any_size: Whether it takes images of any size, or only those of the config's.
    """

    suffix: str
    write: Callable[[Trained, Path], None]
    open: Callable[[Path], Answer]
    any_size: bool


def export(run: Run, formats: Sequence[str], checkpoint: str = "best") -> list[Artifact]:
    """Write a run's network in each format under its `export/`, and prove each one.

    Raises:
        ExportError: If an artifact does not answer as the run; it is then removed.
    """
    trained = load_trained(run, checkpoint)
    run.export_dir.mkdir(exist_ok=True)
    images = load_splits(trained.config).named("test").images[:NUM_EXAMPLES]
    proof = Proof.of(trained, images)
    return [_export_one(run, trained, name, proof) for name in formats]


@dataclass(frozen=True)
class Proof:
    """Real examples and what the run answers for them.

    Attributes:
        raw: uint8 images as they came.
        resized: The same in the config's size.
        expected: The run's probabilities (examples, classes).
    """

    raw: npt.NDArray[np.uint8]
    resized: npt.NDArray[np.uint8]
    expected: Probabilities

    @classmethod
    def of(cls, trained: Trained, images: npt.NDArray[np.uint8]) -> Proof:
        """Ask the run about some images."""
        resized = trained.preprocessing.resize_uint8(images)
        logits = Predictor(trained.model, trained.preprocessing).logits(resized)
        return cls(images, np.asarray(resized), np.exp(log_softmax(logits)).astype(np.float32))


def _export_one(run: Run, trained: Trained, name: str, proof: Proof) -> Artifact:
    kind = FORMATS[name]
    target = run.export_dir / f"{run.name}{kind.suffix}"
    temporary = target.with_name(f".new-{target.name}")
    _remove(temporary)
    try:
        kind.write(trained, temporary)
        artifact = _proven(name, temporary, proof)
    except BaseException:
        _remove(temporary)
        raise
    _remove(target)
    temporary.rename(target)
    artifact = replace(artifact, path=str(target))
    run.write_json(target.with_name(f"{target.name}.parity.json"), asdict(artifact))
    return artifact


def _proven(name: str, path: Path, proof: Proof) -> Artifact:
    """Ask an artifact in its own runtime and return its record if it answers as the run does."""
    kind = FORMATS[name]
    found = _ask(kind.open(path), proof.raw if kind.any_size else proof.resized)
    difference = float(np.abs(found - proof.expected).max())
    agreement = float((found.argmax(1) == proof.expected.argmax(1)).mean())
    if not (difference <= TOLERANCE and agreement == 1.0):
        raise ExportError(
            f"the {name} artifact does not answer as the run: probabilities differ by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:.0e}), {agreement:.2%} of {len(found):,} examples agree",
            "Nothing was kept.",
        )
    return Artifact(name, str(path), _digest(path), _size(path), difference, agreement, len(found))


def serving_model(trained: Trained) -> keras.Model:
    """Return a Keras model from raw uint8 images of the config's size to probabilities, of Keras's own layers only."""
    config = trained.config
    images = keras.Input(config.input_shape, dtype="uint8", name="images")
    scaled = keras.layers.Rescaling(1 / 255.0, dtype="float32", name="pixels_to_unit")(images)
    probabilities = keras.layers.Softmax(dtype="float32", name="probabilities")(trained.model(scaled))
    return keras.Model(images, probabilities, name=config.name.replace("/", "_"))


def _write_keras(trained: Trained, path: Path) -> None:
    serving_model(trained).save(path)


def _open_keras(path: Path) -> Answer:
    model = keras.saving.load_model(path, safe_mode=True)
    return lambda images: np.asarray(model(images, training=False))


class _Served(tf.Module):
    """The network behind its preprocessing, as a SavedModel keeps it."""

    def __init__(self, trained: Trained, classes_file: Path) -> None:
        super().__init__()
        self.model = trained.model
        self.classes = tf.saved_model.Asset(str(classes_file))
        self._preprocessing = trained.preprocessing

    def probabilities(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self.model(self._preprocessing(images), training=False)
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    def probabilities_of_bytes(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        channels = self._preprocessing.channels

        def decode(data: tf.Tensor) -> tf.Tensor:
            image = tf.io.decode_image(data, channels=channels, expand_animations=False)
            return self._preprocessing.resize_uint8(image[None])[0]

        shape = (self._preprocessing.height, self._preprocessing.width, channels)
        return self.probabilities(tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec(shape, tf.uint8)))


def _write_saved_model(trained: Trained, path: Path) -> None:
    classes = path.with_name("classes.txt")
    classes.write_text("".join(f"{name}\n" for name in trained.classes), encoding="utf-8")
    try:
        served = _Served(trained, classes)
        channels = trained.config.data.channels
        images = tf.TensorSpec([None, None, None, channels], tf.uint8, "images")
        encoded = tf.TensorSpec([None], tf.string, "encoded")
        signatures = {
            "serving_default": tf.function(served.probabilities).get_concrete_function(images),
            "encoded": tf.function(served.probabilities_of_bytes).get_concrete_function(encoded),
        }
        tf.saved_model.save(served, str(path), signatures=signatures)
    finally:
        classes.unlink()


def _open_saved_model(path: Path) -> Answer:
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda images: np.asarray(serve(images=tf.constant(images))["probabilities"])


FORMATS = {
    "keras": Format(".keras", _write_keras, _open_keras, any_size=False),
    "saved_model": Format("", _write_saved_model, _open_saved_model, any_size=True),
}


def _ask(answer: Answer, images: npt.NDArray[np.uint8]) -> Probabilities:
    return np.concatenate([answer(images[i : i + BATCH_SIZE]) for i in range(0, len(images), BATCH_SIZE)])


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
