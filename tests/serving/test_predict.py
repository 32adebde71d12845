"""Predictions for image files: order, ties, files that cannot be read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets.pictures import Picture
from cnncli.serving import predict as module
from cnncli.serving.artifact import Artifact
from cnncli.serving.description import Description
from cnncli.serving.predict import ArtifactNetwork, ReadFile, predict, read_by_pillow
from cnncli.tasks.classification.ood import EnergyDetector
from cnncli.tasks.classification.predictions import Place, Ranking
from cnncli.tasks.ood import BLANK, OodScore
from cnncli.tasks.predictions import PredictedFile, PredictionOptions

"""How training images looked: grey, and half bright."""


class Echo:
    """A network whose probabilities follow from an image's first pixel."""

    task, channels, image_size, fit = "classification", 1, (6, 5), "stretch"

    def __init__(self, num_classes: int = 3, detector: Any = None, batch_size: int = 256) -> None:
        self.classes = tuple(f"class {i}" for i in range(num_classes))
        self.detector, self.batch_size = detector, batch_size
        self.batches: list[int] = []

    def read(self, pictures: Iterable[Picture], *, thumbnails: bool) -> Iterator[ReadFile]:
        """Keep the first pixel of each image."""
        return read_by_pillow(pictures, 1, lambda pixels: pixels[0, 0], self.batch_size, thumbnails=thumbnails)

    def outputs(self, prepared: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return numbers that differ from image to image."""
        self.batches.append(len(prepared))
        rows = [[(int(value[0]) * (i + 3)) % 97 / 97 for i in range(len(self.classes))] for value in prepared]
        return {"probabilities": np.array(rows)}

    def is_blank(self, prepared: np.ndarray) -> bool:
        """Call an image blank whose first pixel is 99."""
        return bool(prepared[0] == 99)


class Darkness:
    """A detector that finds images unlike the others whose largest probability is below a limit."""

    def __init__(self, limit: float = 0.1) -> None:
        self._limit = limit

    def to_json(self) -> dict[str, Any]:
        """Return the limit."""
        return {"limit": self._limit}

    def scores(self, outputs: Any) -> list[OodScore]:
        """Return a score for each image."""
        largest = outputs["probabilities"].max(axis=1).tolist()
        return [
            OodScore("confidence", value, self._limit, value < self._limit, f"only {value:.3f}") for value in largest
        ]


def picture(name: str, value: int | np.ndarray) -> Picture:
    """Return a PNG file of one value, or of the given pixels."""
    pixels = np.full((6, 5), value, np.uint8) if isinstance(value, int) else value
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return Picture(name, piped=content.getvalue())


@pytest.mark.parametrize("top", [1, 3, 20, 50])
def test_ranking(top: int) -> None:
    """The most probable classes come first, each with its own probability; no more than there are."""
    network = Echo(20)
    (file,) = predict(network, [picture("a", 131)], top)
    expected = [(network.classes[i], 131 * (i + 3) % 97 / 97) for i in range(20)]
    assert [tuple(place) for place in file.prediction.places] == sorted(expected, key=lambda item: -item[1])[:top]


def test_three_places_are_named() -> None:
    """Without a number, three classes are named."""
    (file,) = predict(Echo(5), [picture("a", 7)])
    assert len(file.prediction.places) == 3


def test_ties_stay_in_the_order_of_the_classes() -> None:
    """Classes of equal probability keep their order, however many they are."""

    class Even(Echo):
        def outputs(self, prepared: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
            return {"probabilities": np.tile([0.01, 0.02], (len(prepared), 50))}

    (file,) = predict(Even(100), [picture("a", 1)], 100)
    numbers = [int(place.name.split()[1]) for place in file.prediction.places]
    assert numbers == [*range(1, 100, 2), *range(0, 100, 2)]


def test_files_that_cannot_be_read_keep_their_place() -> None:
    """Every file has its own answer, in their order, over several batches and with damaged files in between."""
    values = [10, None, 20, None, 30, None, None, None, None, 40, 50]
    network = Echo(batch_size=3)
    files = [Picture(f"{i}", piped=b"no image") if v is None else picture(f"{i}", v) for i, v in enumerate(values)]
    found = list(predict(network, iter(files), thumbnails=True))
    assert [file.file for file in found] == [str(i) for i in range(11)]
    for file, value in zip(found, values, strict=True):
        if value is None:
            assert file.prediction is None
            assert file.doubts == ()
            assert file.pixels.size == 0
            assert file.error
            assert not file.error.startswith(f"{file.file}:")
        else:
            assert file.error is None
            assert sorted(p.probability for p in file.prediction.places) == sorted(
                value * (i + 3) % 97 / 97 for i in range(3)
            )
            assert file.pixels.shape == (6, 5, 1)
            assert (file.pixels == value).all()
    # A batch of damaged files alone asks the network nothing.
    assert network.batches == [2, 1, 2]


def test_each_image_is_judged_by_itself() -> None:
    """Over batches and past damaged files, the image with the unusual score is the one with a warning."""
    files = [picture("a", 131), Picture("b", piped=b"no image"), picture("c", 1), picture("d", 131)]
    found = list(predict(Echo(detector=Darkness(), batch_size=2), files))
    assert [file.doubts for file in found] == [(), (), ("only 0.052",), ()]
    assert [file.ood and file.ood.unlike for file in found] == [False, None, True, False]
    assert [file.ood and round(file.ood.value, 3) for file in found] == [0.753, None, 0.052, 0.753]


def test_a_blank_image_always_gets_a_warning() -> None:
    """With a detector that finds nothing unusual, and without any."""
    for detector in (None, Darkness()):
        plain, blank = predict(Echo(detector=detector), [picture("a", 131), picture("b", 99)])
        assert plain.doubts == ()
        assert blank.doubts == ("the image is blank: all its pixels have the same value",)


def test_without_a_detector_nothing_is_said() -> None:
    """Where a network has no thresholds, images have no score."""
    (file,) = predict(Echo(), [picture("a", 1)])
    assert (file.doubts, file.ood) == ((), None)


def test_the_task_gets_each_image_s_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a place is told in pixels of the image as it came: its size, and what the network reads, are given."""
    heard: list[Any] = []

    def predictions(outputs: Any, sizes: Any, options: PredictionOptions) -> list[Ranking]:
        heard.extend((len(outputs["probabilities"]), sizes, options))
        return [Ranking((Place(str(size), 1.0),)) for size in sizes]

    monkeypatch.setattr(module, "get_task", {"classification": SimpleNamespace(predictions=predictions)}.__getitem__)
    files = [picture("a", np.zeros((3, 9), np.uint8)), Picture("b", piped=b"no image"), picture("c", 7)]
    found = list(predict(Echo(2), files, top=1))
    assert heard == [2, [(3, 9), (6, 5)], PredictionOptions(("class 0", "class 1"), (6, 5), "stretch", 1)]
    assert [file.prediction and file.prediction.places[0].name for file in found] == ["(3, 9)", None, "(6, 5)"]


def test_thumbnail() -> None:
    """The image that an answer carries is small, its longest side 64."""
    files = [picture("a", np.full((200, 100), 9, np.uint8))]
    (file,) = predict(Echo(), files, thumbnails=True)
    assert file.pixels.shape == (64, 32, 1)
    (plain,) = predict(Echo(), files)
    assert plain.pixels.size == 0


def test_json() -> None:
    """The JSON entry has what was predicted, and nothing for a file that cannot be read."""
    score = OodScore("energy", -1.5, -2.0, True, "doubt")
    file = PredictedFile("f", Ranking((Place("a", 0.75), Place("b", 0.25))), ("doubt",), score)
    assert file.to_json() == {
        "file": "f",
        "predictions": [{"class": "a", "probability": 0.75}, {"class": "b", "probability": 0.25}],
        "doubts": ["doubt"],
        "out_of_distribution": {"score": "energy", "value": -1.5, "threshold": -2.0, "unlike": True},
        "error": None,
    }
    damaged = PredictedFile("f", error="bad")
    assert damaged.to_json() == {
        "file": "f", "predictions": [], "doubts": [], "out_of_distribution": None, "error": "bad",
    }  # fmt: skip


def test_pictures_are_taken_a_batch_ahead() -> None:
    """However many files a folder has, only those of two batches are in memory."""
    taken: list[int] = []

    def endless() -> Iterator[Picture]:
        for number in count():
            taken.append(number)
            yield picture(str(number), number % 251)

    found = predict(Echo(batch_size=3), endless())
    most = []
    for number in range(10):
        assert next(found).file == str(number)
        most.append(len(taken) - number)
    assert max(most) <= 6
    found.close()


def description(**changes: Any) -> Description:
    """Return an artifact's account of itself."""
    fields: dict[str, Any] = {
        "name": "net", "classes": ("a", "b"), "height": 4, "width": 6, "channels": 1, "method": "nearest",
        "fit": "stretch", "any_size": False, "config": "", "config_sha256": "", "data_content_hash": "",
        "data_split_hash": "", "look": {}, "usual_size": (4, 6), "run": "net/0", "checkpoint": "step-1",
        "precision": "float32", "versions": {},
    }  # fmt: skip
    return Description(**{**fields, **changes})


def recording(sizes: list[tuple[int, ...]]) -> Any:
    """Return a runtime that notes the shapes it gets and returns each image's mean."""

    def compute(images: np.ndarray) -> dict[str, np.ndarray]:
        sizes.append(images.shape)
        means = images.reshape(len(images), -1).mean(1).astype(np.float32)
        return {"probabilities": np.stack([means, 1 - means], axis=1)}

    return compute


def test_artifact_of_one_size() -> None:
    """Images of the network's size go in as they are; others, and other channels, are resized before."""
    seen: list[tuple[int, ...]] = []
    artifact = Artifact("onnx", description(), recording(seen))
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 1), np.uint8)
    large = images.repeat(3, axis=1).repeat(2, axis=2)
    for given in (images, large, images.repeat(3, -1)):
        found = artifact.outputs(given)["probabilities"]
        np.testing.assert_allclose(found[:, 0], images.mean((1, 2, 3)), rtol=1e-6)
    assert seen == [(5, 4, 6, 1)] * 3
    assert artifact.classes == ("a", "b")


def test_artifact_of_any_size() -> None:
    """A network that resizes by itself gets images of any size, but of its channels."""
    seen: list[tuple[int, ...]] = []
    artifact = Artifact("keras", description(any_size=True), recording(seen))
    artifact.outputs(np.zeros((2, 9, 9, 1), np.uint8))
    artifact.outputs(np.zeros((2, 9, 9, 3), np.uint8))
    assert seen == [(2, 9, 9, 1), (2, 4, 6, 1)]


def test_parts_of_a_large_batch() -> None:
    """A batch goes in parts of at most 256 images and 2^18 pixels, one image at least, and comes back whole."""
    for side, number, largest in ((4, 600, 256), (64, 130, 64), (600, 3, 1)):
        seen: list[tuple[int, ...]] = []
        artifact = Artifact("onnx", description(height=side, width=side), recording(seen))
        images = np.zeros((number, side, side, 1), np.uint8)
        images[:, 0, 0, 0] = np.arange(number) % 251
        answers = artifact.outputs(images)["probabilities"]
        np.testing.assert_allclose(answers[:, 0], images.mean((1, 2, 3)), rtol=1e-5)
        assert max(shape[0] for shape in seen) == largest
        assert sum(shape[0] for shape in seen) == number
    assert artifact.outputs(images[:0])["probabilities"].shape == (0, 2)


def test_artifact_as_a_network() -> None:
    """An artifact is asked about each image by itself, in the size it comes in."""
    seen: list[tuple[int, ...]] = []
    network = ArtifactNetwork(Artifact("onnx", description(any_size=True), recording(seen)))
    assert (network.classes, network.channels) == (("a", "b"), 1)
    found = list(predict(network, [picture("a", 102), picture("b", np.zeros((3, 9), np.uint8))]))
    assert sorted(seen) == [(1, 3, 9, 1), (1, 6, 5, 1)]
    assert [file.prediction.places[0] for file in found] == [Place("a", 102.0), Place("b", 1.0)]
    assert all(file.ood is None for file in found)


def test_an_artifact_has_the_detector_that_it_was_exported_with() -> None:
    """Its probabilities are held against the run's threshold of the confidence, and blank images are told."""
    detector = EnergyDetector("validation", 999, 0.01, energy=-3.0, confidence=2.5).to_json()
    about = description(any_size=True, ood_detector=detector)
    network = ArtifactNetwork(Artifact("onnx", about, recording([])))
    dark, bright = np.eye(4, dtype=np.uint8) * 8, np.eye(4, dtype=np.uint8) * 16
    images = [picture("a", dark), picture("b", bright), picture("c", 9)]
    found = list(predict(network, images))
    assert [(file.ood.score, file.ood.value, file.ood.unlike) for file in found] == [
        ("confidence", 2.0, True),
        ("confidence", 4.0, False),
        ("confidence", 9.0, False),
    ]
    assert [file.doubts for file in found] == [(found[0].ood.warning,), (), (BLANK,)]
