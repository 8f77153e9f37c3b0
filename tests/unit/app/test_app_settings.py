"""What an operator may set, where, and what is said about a mistake."""

import pytest

from intramural.errors import InvalidInput, Unavailable
from intramural.settings import load_settings


def test_nothing_set_is_a_default(tmp_path):
    settings = load_settings(tmp_path, {})

    assert (settings.home, settings.parallel_runs, settings.warm, settings.hub_endpoint) == (tmp_path, 1, True, None)


def test_the_home_is_given_or_named_by_the_environment(tmp_path):
    environment = {"INTRAMURAL_HOME": str(tmp_path / "named")}

    assert load_settings(None, environment).home == tmp_path / "named"
    assert load_settings(tmp_path / "given", environment).home == tmp_path / "given"
    assert load_settings(None, {"INTRAMURAL_HOME": ""}).home.is_absolute()


def test_the_environment_wins_over_the_file(tmp_path):
    (tmp_path / "intramural.toml").write_text("parallel_runs = 2\nlease_seconds = 30\n")

    settings = load_settings(tmp_path, {"INTRAMURAL_PARALLEL_RUNS": "3", "INTRAMURAL_DEBUG": "1"})

    assert (settings.parallel_runs, settings.lease_seconds) == (3, 30.0)


def test_the_hubs_own_variable_is_read_unless_ours_is_there(tmp_path):
    mirror = {"HF_ENDPOINT": "https://mirror.example"}

    assert load_settings(tmp_path, mirror).hub_endpoint == "https://mirror.example"
    assert load_settings(tmp_path, {**mirror, "INTRAMURAL_HUB_ENDPOINT": "https://ours.example"}).hub_endpoint == (
        "https://ours.example"
    )
    assert load_settings(tmp_path, {"HF_ENDPOINT": ""}).hub_endpoint is None


@pytest.mark.parametrize(
    ("file", "environment", "words"),
    [
        ("parallel_run = 2", {}, "Did you mean `parallel_runs`?"),
        ("", {"INTRAMURAL_ZZZ": "1"}, "Known: parallel_runs"),
        ("home = '/elsewhere'", {}, "Known: "),
        ("parallel_runs = 0", {}, "Mend intramural.toml"),
        ("", {"INTRAMURAL_WARM": "s3cr3t"}, "Mend intramural.toml"),
        ("not toml", {}, "Mend the file."),
    ],
)
def test_a_mistake_is_named_with_the_way_out_and_not_quoted(tmp_path, file, environment, words):
    (tmp_path / "intramural.toml").write_text(file)

    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path, environment)
    assert words in caught.value.hint
    assert "s3cr3t" not in str(caught.value.document())


def test_a_file_that_cannot_be_read_is_unavailable(tmp_path):
    (tmp_path / "intramural.toml").mkdir()

    with pytest.raises(Unavailable):
        load_settings(tmp_path, {})
