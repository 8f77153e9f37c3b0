"""A store opens, or says why not and what to do; nothing it refuses is touched."""

import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from disks import a_disk, make_read_only
from intramural.errors import Unavailable
from intramural.store import Store


def test_a_new_store_is_for_its_owner_alone(tmp_path):
    Store.in_file(tmp_path / "home" / "intramural.db")

    found = {path for path in (tmp_path / "home").rglob("*") if not path.is_dir()}
    assert tmp_path / "home" / "keys" / "records.key" in found
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert stat.S_IMODE((tmp_path / "home" / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_store_opens_again_with_what_is_in_it(tmp_path):
    path = tmp_path / "intramural.db"
    Store.in_file(path)
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO run_events (run_id, seq, type, body) VALUES ('run-1', 1, 'notice', '{}')")
    raw.close()

    Store.in_file(path)

    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*), (SELECT count(*) FROM schema_version) FROM run_events").fetchone() == (1, 1)
    raw.close()


@pytest.mark.parametrize("content", [b"this is no database" * 400, b"\0" * 8192])
def test_a_damaged_file_is_unavailable_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "intramural.db"
    path.write_bytes(content)

    with pytest.raises(Unavailable) as caught:
        Store.in_file(path)

    assert "INTRAMURAL_HOME" in caught.value.hint
    assert path.read_bytes() == content


def test_a_newer_schema_is_unavailable_with_the_way_out(tmp_path):
    path = tmp_path / "intramural.db"
    Store.in_file(path)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE schema_version SET version = 99")
    raw.close()

    with pytest.raises(Unavailable, match="version 99") as caught:
        Store.in_file(path)
    assert caught.value.hint == "Upgrade intramural."


def test_a_place_that_cannot_be_a_folder_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Unavailable) as caught:
        Store.in_file(tmp_path / "file" / "intramural.db")
    assert "INTRAMURAL_HOME" in caught.value.hint


OPEN = """
import sys
from pathlib import Path
from intramural.errors import Unavailable
from intramural.store import Store
try:
    with Store.in_file(Path(sys.argv[1])).writing() as tx:
        tx.audit
except Unavailable as error:
    print(error.message, "|", error.hint)
"""


def test_a_read_only_disk_is_unavailable(tmp_path):
    with a_disk(tmp_path / "disk") as folder:
        Store.in_file(folder / "intramural.db").close()
        make_read_only(folder)
        command = [sys.executable, "-c", OPEN, str(folder / "intramural.db")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "INTRAMURAL_HOME" in done.stdout


def test_two_processes_may_make_the_same_store(tmp_path):
    path = tmp_path / "intramural.db"
    both = [subprocess.Popen([sys.executable, "-c", OPEN, str(path)], stdout=subprocess.PIPE) for _ in range(3)]

    assert [(each.communicate()[0], each.returncode) for each in both] == [(b"", 0)] * 3
    assert os.stat(path).st_size > 0
