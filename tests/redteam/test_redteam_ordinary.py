"""
What runs as whoever starts the tests, run as an ordinary user too.

Of each file the tests that begin or judge something that confines; not those of code that is the same for
everybody: frames, labels and answers that are forged, folders that are refused before anything opens them. Nor
the two of foreign files that cost the most: rules compiled anew, and a bomb of more than a gigabyte.
"""

from pathlib import Path

import pytest

from disks import a_disk
from ordinary import ORDINARY, PATIENCE_SECONDS, SKIPPED_BY_OTHERS, run_tests
from redteam.test_redteam_disk import DISK, GIVEN

HERE = Path(__file__).parent
WITHIN_WALLS = HERE.parent / "integration" / "scheduler" / "test_scheduler_within_walls.py"
SAME_FOR_ALL = {
    "levels": "this_machine_has",  # which runs as both anyway
    "way_out": "first_bytes or private_address or does_not_answer or both_be_listed or comes_back or so_many_bytes",
    "model": "hostile_folder or is_a_bomb or hub_cannot",
    "foreign_files": "taken_on_trust or flipped_byte or bounded_before or makes_no_sense or rules_that or a_bomb",
}

pytestmark = [SKIPPED_BY_OTHERS, pytest.mark.timeout(PATIENCE_SECONDS)]


@pytest.mark.parametrize("name", ["levels", "gate", "way_out", "model", "worker", "taking", "foreign_files"])
def test_these_hold_for_an_ordinary_user_too(name):
    run_tests(HERE / f"test_redteam_{name}.py", f"not ({SAME_FOR_ALL[name]})" if name in SAME_FOR_ALL else "")


def test_a_full_disk_ends_the_run_of_an_ordinary_user_too(world):
    place = Path(world["folder"]) / "disk"
    with a_disk(place, f"size={DISK},uid={ORDINARY},gid={ORDINARY},mode=700"):
        run_tests(HERE / "test_redteam_disk.py", **{GIVEN: str(place)})


def test_a_run_of_an_ordinary_user_is_within_the_same_walls():
    run_tests(WITHIN_WALLS)
