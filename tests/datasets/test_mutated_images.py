"""A small campaign against the decoders; the large one is `tests/campaigns/mutate_images.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "mutate_images.py"


def test_five_hundred_mutated_images_are_read_or_named():
    """The process lives, stays below 1 GB, is silent, and leaves no file out."""
    spec = importlib.util.spec_from_file_location("mutate_images", CAMPAIGN)
    campaign = importlib.util.module_from_spec(spec)
    sys.modules["mutate_images"] = campaign
    spec.loader.exec_module(campaign)
    figures = campaign.campaign(500, seed=1)
    assert not figures.failed, figures.lines()
    assert 50 < figures.read < 450
