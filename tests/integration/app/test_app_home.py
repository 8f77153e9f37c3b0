"""A home that was made beforehand is closed to others when it is opened; a folder of other things is left as it is."""

import pytest

from intramural.app.open import local_user, open_context
from intramural.settings import load_settings


def opened(folder):
    """The rights of a folder after it was opened as a home."""
    open_context(load_settings(folder, {}), local_user()).store.close()
    return folder.stat().st_mode & 0o7777


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o755)
    return tmp_path / "home"


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o711, 0o707, 0o701])
def test_a_home_made_beforehand_is_closed_to_others(folder, mode):
    folder.chmod(mode)

    assert opened(folder) == 0o700


def test_a_home_in_use_that_was_opened_to_others_is_closed_again(folder):
    opened(folder)
    folder.chmod(0o755)

    assert opened(folder) == 0o700


def test_a_folder_of_other_things_is_left(folder):
    (folder / "other").write_text("not ours")

    assert opened(folder) == 0o755


def test_a_folder_that_is_shared_is_left(folder):
    folder.chmod(0o1777)

    assert opened(folder) == 0o1777


def test_a_home_made_by_the_platform_is_private(tmp_path):
    assert opened(tmp_path / "deep" / "home") == 0o700
