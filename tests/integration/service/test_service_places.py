"""An export that cannot be written is refused before it is on record; nothing that is there is overwritten."""

import os
from pathlib import Path

import pytest

from disks import a_disk
from factories import an_artifact
from intramural.domain.access import Role
from intramural.errors import DoesNotFit, InvalidInput, Refused
from intramural.service.artifacts import export_artifact
from intramural.service.audit import export_audit
from intramural.service.places import check_new_file, check_new_folder


@pytest.fixture
def exports(owner, a_stored_job, tmp_path):
    """Each way out that a place is named for, over one job with one artifact."""
    job = a_stored_job()
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    digest, _ = owner.vault.put_tree(tmp_path / "adapter")
    with owner.store.writing() as tx:
        tx.artifacts.add("default", an_artifact(job_id=job.id, label=job.label, digest=digest, files=1))
    return {
        "artifact": lambda place, who=owner: export_artifact(who, "art-1", place),
        "trail": lambda place, who=owner: export_audit(who, place),
    }


@pytest.mark.parametrize("export", ["artifact", "trail"])
@pytest.mark.parametrize("place", ["file/out", "/proc/none/out", "full"])
def test_what_cannot_be_written_leaves_no_entry(exports, decisions, tmp_path, export, place):
    """The same error for each, of the same exit code; as root too, so no folder that is closed by its mode."""
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    before = decisions()

    with pytest.raises(InvalidInput) as told:
        exports[export](tmp_path / place)

    assert told.value.hint
    assert decisions() == before
    assert (tmp_path / "full" / "mine").read_text() == "mine"


@pytest.mark.parametrize("export", ["artifact", "trail"])
def test_a_file_that_exists_is_not_overwritten(exports, decisions, tmp_path, export):
    (tmp_path / "out").write_text("mine")
    before = decisions()

    with pytest.raises(InvalidInput):
        exports[export](tmp_path / "out")

    assert (tmp_path / "out").read_text() == "mine"
    assert decisions() == before


@pytest.mark.parametrize("export", ["artifact", "trail"])
def test_who_may_not_export_is_refused_on_record_wherever_it_was_to_go(exports, decisions, make_context, tmp_path, export):
    (tmp_path / "out").write_text("mine")

    with pytest.raises(Refused):
        exports[export](tmp_path / "out", make_context(Role.VIEWER))

    assert decisions()[-1][1:] == ("refused", "role:viewer")


@pytest.mark.parametrize("export", ["artifact", "trail"])
def test_what_can_be_written_is(exports, decisions, tmp_path, export):
    exports[export](tmp_path / "out")

    assert (tmp_path / "out").exists()
    assert decisions()[-1][1] == "allowed"


def test_a_link_to_a_file_with_something_in_it_is_not_written_through(tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "empty").touch()
    (tmp_path / "to-empty").symlink_to(tmp_path / "empty")

    with pytest.raises(InvalidInput):
        check_new_file(tmp_path / "link")
    with pytest.raises(InvalidInput):
        check_new_folder(tmp_path / "link")
    check_new_file(tmp_path / "to-empty")


def test_devices_and_pipes_are_written_into(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    check_new_file(Path(os.devnull))
    check_new_file(tmp_path / "pipe")


def test_looking_leaves_nothing(tmp_path):
    check_new_file(tmp_path / "out")
    check_new_folder(tmp_path / "far" / "out")

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_as_one(tmp_path):
    with a_disk(tmp_path / "disk", "size=64k,nr_inodes=2") as disk:
        (disk / "last").touch()

        with pytest.raises(DoesNotFit):
            check_new_file(disk / "out")
        with pytest.raises(DoesNotFit):
            check_new_folder(disk / "out")
