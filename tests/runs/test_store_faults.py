"""Short runs of the fault campaigns of tests/faults/store_*.py."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

FAULTS = Path(__file__).parent.parent / "faults"


@pytest.fixture
def campaign(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a campaign's module, told apart by the test's parameter."""
    monkeypatch.syspath_prepend(FAULTS)
    monkeypatch.setattr(logging.getLogger("cnncli"), "disabled", True)
    return import_module(request.param)


@pytest.mark.parametrize("campaign", ["store_crash"], indirect=True)
def test_lost_power_takes_nothing_that_was_safe(campaign: ModuleType) -> None:
    """After every third operation, on disks that forget all, names or data."""
    with campaign.hurried():
        moments, _, wrong = campaign.power_failures(num_random=1, seed=0, every=3)
    assert moments > 50
    assert wrong == []


@pytest.mark.parametrize("campaign", ["store_crash"], indirect=True)
def test_a_failing_operation_takes_nothing_that_was_safe(campaign: ModuleType) -> None:
    """Every seventh, before it was done or after."""
    with campaign.hurried():
        tried, wrong = campaign.failed_operations(campaign.FULL, every=7)
    assert tried > 40
    assert wrong == []


@pytest.mark.parametrize("campaign", ["store_crash"], indirect=True)
def test_the_campaign_can_fail(campaign: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds a store that does not wait for the arrays to be on the disk."""
    from cnncli.files import durable
    from cnncli.runs import checkpoint

    class Careless(ModuleType):
        """The module of file operations, but for its fsync."""

        def __getattr__(self, name: str) -> object:
            return (lambda _: None) if name == "fsync" else getattr(durable, name)

    monkeypatch.setattr(checkpoint, "durable", Careless("durable"))
    with campaign.hurried():
        _, _, wrong = campaign.power_failures(num_random=0, seed=0, every=20)
    assert wrong


@pytest.mark.parametrize("campaign", ["store_corruption"], indirect=True)
def test_flipped_bits_and_truncations_are_found(campaign: ModuleType) -> None:
    """Before anything is used; the checkpoint before comes back."""
    assert campaign.campaign(50, campaign.flip, seed=1) == 50
    assert campaign.campaign(50, campaign.cut, seed=1) == 50


@pytest.mark.parametrize("campaign", ["store_full"], indirect=True)
def test_a_full_disk_is_one_line(campaign: ModuleType) -> None:
    """The earlier checkpoint is whole, and the save succeeds once there is room."""
    assert campaign.campaign(10, campaign.small_disk, seed=1) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("campaign", ["store_full"], indirect=True)
def test_a_limit_on_file_sizes_is_one_line(campaign: ModuleType) -> None:
    """The system's own refusal, in a process of its own."""
    assert campaign.limited(10, seed=1) == []


@pytest.mark.parametrize("campaign", ["store_processes"], indirect=True)
def test_32_starts_make_32_directories(campaign: ModuleType, tmp_path: Path) -> None:
    """At the same moment, under the same name."""
    assert campaign.simultaneous_starts(tmp_path, 32) == 32
