"""What a hostile run leaves in its directory does no harm to whoever collects it."""

import os

import pytest

from intramural.domain.confinement import Confinement, Level
from intramural.errors import NotFound, Refused
from intramural.walls.launch import launch
from intramural.walls.taking import open_inside

LEFT = """
mkdir -p good/deep && echo good > good/deep/file
ln -s "$1" link; ln -s / root; ln -s good/deep inner; mkfifo pipe; ln -s link link2; mkdir folder
"""


@pytest.fixture
def left(tmp_path):
    """The run directory of a process that laid traps, read while the supervisor still holds it in memory."""
    (tmp_path / "secret").write_text("secret")
    command = ["/bin/sh", "-c", LEFT, "sh", str(tmp_path / "secret")]
    confined = launch(command, Confinement(), folder=tmp_path, level=Level.NAMESPACES)
    assert confined.wait(60)
    yield confined.run
    confined.close()


def test_a_file_is_read(left):
    with open_inside(left, "good/deep/file") as file:
        assert file.read() == b"good\n"


@pytest.mark.parametrize(
    "name", ["link", "link2", "root/etc/passwd", "inner/file", "pipe", "folder", "../secret", "/etc/passwd", "", "."]
)
def test_traps_are_refused(left, name, tmp_path):
    if name == "link":  # followed from this side, it leads to a file of this side
        assert os.path.lexists(left / name)
        assert (left / name).read_text() == "secret"
    with pytest.raises(Refused):
        open_inside(left, name)


def test_what_is_not_there_is_said_so(left):
    with pytest.raises(NotFound):
        open_inside(left, "good/none")
