"""The campaign tests/faults/write_campaign.py in small: kills, full disks and overlapping updates.

In processes of their own: the campaign forks, which a process with the threads of TensorFlow had better not do.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).parents[1] / "faults" / "write_campaign.py"

CARELESS = """
import shutil, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import write_campaign as campaign
from cnncli.files import durable
from cnncli.report import files

def write_in_place(path, text):
    with path.open("wb") as file:
        durable.write(file, text.encode())

files.write_text = write_in_place
template = campaign.make_template(Path(sys.argv[1]) / "template")
(command,) = (command for command in campaign.PLAIN if command.name == "report")
reference = campaign.Reference.of(command, template)
for number in range(reference.operations):
    place = template.with_name(str(number))
    shutil.copytree(template, place)
    around = campaign.intercepted(campaign.KillAt(number, "within", 0.5), campaign.OPERATIONS)
    assert campaign.in_child(command, place, around)[0] == -9
    print(*reference.wrong(place), sep="\\n")
"""


def printed_by(*arguments: str) -> str:
    """Run Python and return what it prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kills_and_full_disks_leave_the_old_file_or_the_new() -> None:
    """Whole, and the command succeeds afterwards; enough of them come while something is written."""
    text = printed_by(str(CAMPAIGN), "--kills", "10", "--full-disks", "5", "--whole", "0", "--quick")
    found = re.findall(r"(\d+) (kills|full disks) of plain commands \((\d+) in time\): 0 wrong", text)
    assert [(number, kind) for number, kind, _ in found] == [("10", "kills"), ("5", "full disks")]
    assert all(int(in_time) > 0 for *_, in_time in found)


def test_the_campaign_can_fail(tmp_path: Path) -> None:
    """It sees a file that is emptied and written in place."""
    text = printed_by("-c", CARELESS.format(folder=str(CAMPAIGN.parent)), str(tmp_path))
    assert "report: report.html has 600,007 bytes" in text


def test_overlapping_updates_lose_nothing() -> None:
    """Each process changes run.json a few times."""
    assert "8 processes × 5 updates: 0 losses" in printed_by(str(CAMPAIGN), "--updates", "5", "--processes", "8")
