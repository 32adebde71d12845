"""Resizing in NumPy against TensorFlow's kernels, bit for bit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.engine

sizes = st.integers(1, 90)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(sizes, sizes),
    st.tuples(sizes, sizes),
    st.sampled_from(["bilinear", "nearest", "bicubic", "area"]),
    st.sampled_from(["stretch", "crop", "pad"]),
    st.sampled_from([(1, 1), (3, 3), (1, 3), (3, 1)]),
    st.integers(0, 2**32 - 1),
)
def test_equal_to_the_engine(
    old: tuple[int, int], new: tuple[int, int], method: str, fit: str, channels: tuple[int, int], seed: int
) -> None:
    """Every method, fit and change of channels gives the very bytes that the engine's preprocessing gives."""
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.serving.preprocessing import to_size

    images = np.random.default_rng(seed).integers(0, 256, (2, *old, channels[0]), dtype=np.uint8)
    resize = SimpleNamespace(method=method, fit=fit)
    data = SimpleNamespace(image_size=new, channels=channels[1], resize=resize)
    about = SimpleNamespace(height=new[0], width=new[1], channels=channels[1], method=method, fit=fit)
    expected = np.asarray(Preprocessing(data).resize_uint8(images))
    found = to_size(images, about)
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(sizes, sizes),
    st.tuples(sizes, sizes),
    st.sampled_from(["bilinear", "nearest"]),
    st.sampled_from(["stretch", "crop", "pad"]),
)
def test_elementary_operations_are_equal_too(old: tuple[int, int], new: tuple[int, int], method: str, fit: str) -> None:
    """The resize said in sums and products, as ONNX files hold it, gives the same bytes."""
    from cnncli.engine.exporting.elementary import ElementaryPreprocessing
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    images = np.random.default_rng(0).integers(0, 256, (2, *old, 3), dtype=np.uint8)
    data = SimpleNamespace(image_size=new, channels=3, resize=SimpleNamespace(method=method, fit=fit))
    expected = np.asarray(Preprocessing(data).resize_uint8(images))
    assert np.asarray(ElementaryPreprocessing(data).resize_uint8(images)).tobytes() == expected.tobytes()
