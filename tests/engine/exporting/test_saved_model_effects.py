"""SavedModels of strangers: TensorFlow's operations can do more than compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ExportError
from tests.serving.onnx_bombs import DESCRIPTION

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]
IMAGES = np.zeros((2, 4, 6, 3), np.uint8)


def write(folder: Path, effect: Any, *, table: bool = False) -> Path:
    """Write a SavedModel that does something besides answering."""
    import tensorflow as tf

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            (folder.parent / "cnncli.json").write_text(DESCRIPTION.to_json(), encoding="utf-8")
            (folder.parent / "classes.txt").write_text(DESCRIPTION.classes_text, encoding="utf-8")
            self.files = [tf.saved_model.Asset(str(folder.parent / name)) for name in ("cnncli.json", "classes.txt")]
            self.scale = tf.Variable(1.0)
            if table:
                pairs = tf.lookup.KeyValueTensorInitializer(["a"], [1])
                self.table = tf.lookup.StaticHashTable(pairs, 0)

        @tf.function(input_signature=[tf.TensorSpec([None, 4, 6, 3], tf.uint8, "images")])
        def serve(self, images: Any) -> Any:
            means = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2]) * self.scale
            with tf.control_dependencies(effect(tf)):
                return {"probabilities": tf.nn.softmax(means)}

    served = Served()
    tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve})
    return folder


@pytest.mark.parametrize("name", ["WriteFile", "ReadFile", "MatchingFiles", "SaveV2", "called"])
def test_operations_on_files_are_refused(tmp_path: Path, name: str) -> None:
    """Also in a function that another calls; with trust they are run."""
    from cnncli.engine.exporting.open import open_artifact

    target = str(tmp_path / "touched")

    def effect(tf: Any) -> list[Any]:
        if name == "ReadFile":
            return [tf.io.read_file(str(tmp_path / "classes.txt"))]
        if name == "MatchingFiles":
            return [tf.io.matching_files("/*")]
        if name == "SaveV2":
            return [tf.raw_ops.SaveV2(prefix=target, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.ones(1)])]
        if name == "called":
            return [tf.cond(tf.shape(tf.ones(3))[0] > 2, lambda: _touched(tf, target), lambda: tf.constant(0))]
        return [tf.io.write_file(target, "x")]

    path = write(tmp_path / "net", effect)
    expected = "WriteFile" if name == "called" else name
    with pytest.raises(ExportError, match=f"contains the operation {expected}, which does more") as error:
        open_artifact(path, trust=False)
    assert "--trust" in str(error.value.hint)
    assert not list(tmp_path.glob("touched*"))
    assert open_artifact(path).outputs(IMAGES)["probabilities"].shape == (2, 3)


def _touched(tf: Any, target: str) -> Any:
    with tf.control_dependencies([tf.io.write_file(target, "x")]):
        return tf.constant(1)


def test_a_network_that_only_computes(tmp_path: Path) -> None:
    """Needs no trust."""
    from cnncli.engine.exporting.open import open_artifact

    path = write(tmp_path / "net", lambda tf: [])
    np.testing.assert_allclose(open_artifact(path, trust=False).outputs(IMAGES)["probabilities"], 1 / 3)


def test_what_is_computed_at_loading_is_refused(tmp_path: Path) -> None:
    """A table is filled when the SavedModel is loaded, before anybody has looked."""
    from cnncli.engine.exporting.open import open_artifact

    with pytest.raises(ExportError, match="makes tables or other resources when it is loaded"):
        open_artifact(write(tmp_path / "net", lambda tf: [], table=True), trust=False)
