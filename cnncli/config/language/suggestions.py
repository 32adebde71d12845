"""The nearest name for a misspelt one, and Keras's word for what other tools call it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

ELSEWHERE = {
    "adaptiveavgpool2d": "GlobalAveragePooling2D",
    "adaptivemaxpool2d": "GlobalMaxPooling2D",
    "avgpool2d": "AveragePooling2D",
    "batchnorm": "BatchNormalization",
    "batchnorm2d": "BatchNormalization",
    "bias": "use_bias",
    "bs": "batch_size",
    "concat": "Parallel",
    "concatenate": "Parallel",
    "dilation": "dilation_rate",
    "fullyconnected": "Dense",
    "groupnorm": "GroupNormalization",
    "grad_clip": "clip_norm",
    "in_channels": "channels",
    "innerproduct": "Dense",
    "kernel": "kernel_size",
    "layernorm": "LayerNormalization",
    "linear": "Dense",
    "lr": "learning_rate",
    "lrn": "LocalResponseNormalization",
    "maxpool": "MaxPooling2D",
    "maxpool2d": "MaxPooling2D",
    "monitored": "monitor",
    "num_classes": "units",
    "num_epochs": "epochs",
    "num_filters": "filters",
    "optim": "optimizer",
    "out_channels": "filters",
    "out_features": "units",
    "skip": "Residual",
    "wd": "weight_decay",
}
"""What PyTorch, Caffe and others say, in small letters, and what it is called here."""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the name that was probably meant, or None if none is near."""
    names = list(words)
    by_small = {name.lower(): name for name in names}
    small = word.lower()
    known = by_small.get(small) or _known_elsewhere(small, names)
    if known:
        return known
    close = get_close_matches(small, by_small, n=1, cutoff=0.6) if len(word) <= 100 else []
    return by_small[close[0]] if close else None


def suggestion(word: str, words: Iterable[str]) -> str:
    """Return ' Did you mean "…"?' for a misspelt name, or an empty text."""
    name = nearest(word, words)
    return f' Did you mean "{name}"?' if name else ""


def _known_elsewhere(small: str, names: list[str]) -> str | None:
    name = ELSEWHERE.get(small)
    return name if name in names else None
