"""A small campaign against the decoders; the large one is `tests/campaigns/mutate_images.py`."""

from __future__ import annotations


def test_five_hundred_mutated_images_are_read_or_named(script):
    """The process lives, stays below 1 GB, is silent, and leaves no file out."""
    campaign = script("campaigns/mutate_images.py")
    figures = campaign.campaign(500, seed=1)
    assert not figures.failed, figures.lines()
    assert 50 < figures.read < 450
