"""A small campaign against the readers of boxes; the large one is `tests/campaigns/mutate_annotations.py`."""

from __future__ import annotations


def test_mutated_annotations_are_read_or_told(script, tmp_path):
    """None of them ends in another exception, and all passports are JSON without NaN."""
    ends = script("campaigns/mutate_annotations.py").campaign(40, 4, tmp_path)
    assert sum(ends.values()) == 120
    assert min(ends[source, end] for source in ("voc", "coco", "yolo") for end in ("read", "told")) > 5
