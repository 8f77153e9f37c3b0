"""`intramural portfolio` over real files: every format, broken and doubled files, and nothing that can be traced back."""

import io
import json
import time

import pytest

from factories import a_profile
from intramural.cli.main import run
from intramural.interview import profile_file
from portfolio_world import CANARY, a_traceable_profile, a_varied_profile, write_profiles

FORMATS = ["terminal", "json", "csv", "parquet", "html", "pdf"]


@pytest.fixture(scope="module")
def interviews(tmp_path_factory):
    return write_profiles(tmp_path_factory.mktemp("interviews"), 12)


@pytest.fixture
def told(capsys):
    def call(*arguments, code=0):
        capsys.readouterr()
        assert run(["portfolio", *map(str, arguments)]) == code
        return capsys.readouterr()

    return call


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_written_to_a_file(form, interviews, tmp_path, told):
    target = tmp_path / f"all.{form}"

    told(interviews, "--format", form, "-o", target)

    assert target.stat().st_size > 500


@pytest.mark.parametrize("form", ["json", "csv", "html", "pdf"])
def test_the_ending_of_the_file_is_the_format(form, interviews, tmp_path, told):
    target = tmp_path / f"all.{form}"

    told(interviews, "-o", target)

    assert target.read_bytes().startswith({"json": b"{", "csv": b"profile,", "html": b"<!DOCTYPE", "pdf": b"%PDF"}[form])


def test_the_terminal_shows_every_part(interviews, told):
    out = told(interviews).out

    assert all(each in out for each in ("PAIN POINTS", "JOB MIX", "MUST-HAVES", "TRACKING", "NUMBERS", "ALL (12)", "SOLO ("))


def test_a_table_has_one_row_for_each_profile(interviews, told):
    import polars  # noqa: PLC0415 - for one test

    rows = polars.read_csv(io.BytesIO(told(interviews, "--format", "csv").out.encode()))

    assert sorted(rows["profile"].to_list()) == sorted(f"Organisation {n}" for n in range(12))


def test_a_segment_is_counted_alone(interviews, told):
    everyone = json.loads(told(interviews, "--json").out)
    solo = json.loads(told(interviews, "--json", "--segment", "solo").out)

    (expected,) = [each["profiles"] for each in everyone["segments"] if each["segment"] == "solo"]
    assert solo["profiles"] == solo["all"]["profiles"] == expected
    assert "solo" not in {each["segment"] for each in solo["segments"]}


def test_a_broken_file_is_named_with_its_line_and_ends_the_work(interviews, tmp_path, told):
    (tmp_path / "broken.yaml").write_text("version: 1\nanatomy:\n  succes_rate: 95%\n")

    said = told(interviews, tmp_path, code=2)

    assert "broken.yaml, line 3: unknown key `anatomy.succes_rate`; did you mean `success_rate`?" in said.err
    assert "--skip-bad" in said.err
    assert said.out == ""


def test_skipped_files_are_listed(interviews, tmp_path, told):
    (tmp_path / "broken.yaml").write_text("anatomy: {success_rate: 130%}\n")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")

    said = told(interviews, tmp_path, "--skip-bad")
    document = json.loads(told(interviews, tmp_path, "--skip-bad", "--json").out)

    assert "Left out" in said.err
    assert "2 files could not be read" in said.out
    assert (document["profiles"], document["skipped_files"]) == (12, 2)
    assert ["broken.yaml" in each["file"] for each in document["skipped"]] == [True, False]


def test_the_same_profile_twice_counts_once(interviews, tmp_path, told):
    (tmp_path / "copy.yaml").write_text("# another comment\n" + profile_file.write(a_varied_profile(3)))

    document = json.loads(told(interviews, tmp_path, "--json").out)

    assert (document["profiles"], document["duplicate_files"]) == (12, 1)
    assert "org-0003" in document["duplicates"][0]["same_as"]


def test_a_file_named_twice_is_read_once(interviews, told):
    document = json.loads(told(interviews, interviews / "org-0001" / "profile.yaml", "--json").out)

    assert (document["profiles"], document["duplicate_files"]) == (12, 0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "nowhere is not there"),
        (["."], "holds no profile"),
        ([".", "--profiles", "out"], "add --anonymous"),
        ([".", "--json", "--format", "csv"], "choose one"),
        ([".", "-o", "all.docx"], "names no format"),
        ([], "Missing argument"),
    ],
)
def test_wrong_use_is_told_with_the_next_step(arguments, expected, tmp_path, monkeypatch, told):
    monkeypatch.chdir(tmp_path)

    said = told(*arguments, code=2)

    assert expected in said.err + said.out


@pytest.fixture
def traceable(tmp_path):
    """Files with a canary in every free text, in their names too, one of them broken and one doubled."""
    folder = tmp_path / f"{CANARY}-customers"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{CANARY}-{name}.yaml").write_text(profile_file.write(a_traceable_profile()))
    (folder / f"{CANARY}-other.yaml").write_text(profile_file.write(a_profile(name=f"{CANARY} other")))
    (folder / f"{CANARY}-broken.yaml").write_text(f"{CANARY}: {CANARY}\n")
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_that_can_be_traced_is_in_any_anonymous_output(form, traceable, tmp_path, capsysbinary):
    target = tmp_path / "out" / f"all.{form}"
    target.parent.mkdir()

    assert run(["portfolio", str(traceable), "--anonymous", "--skip-bad", "--format", form, "-o", str(target)]) == 0
    assert run(["portfolio", str(traceable), "--anonymous", "--skip-bad", "--format", form]) == 0

    content = target.read_bytes()
    if form == "parquet":
        import polars  # noqa: PLC0415 - for one test

        content = polars.read_parquet(target).write_json().encode()
    assert CANARY.lower().encode() not in content.lower()
    assert CANARY.lower().encode() not in capsysbinary.readouterr().out.lower()


def test_without_anonymous_the_canary_is_there(traceable, told):
    """The attack would be seen: the same outputs hold the canary without the option."""
    for form in ("terminal", "json", "csv", "html"):
        assert CANARY in told(traceable, "--skip-bad", "--format", form).out


def test_what_the_anonymous_pdf_is_made_of_holds_no_canary(traceable):
    """The text of a PDF is compressed glyphs; its only input is this document."""
    from intramural.interview.portfolio import summarise  # noqa: PLC0415 - for one test
    from intramural.interview.portfolio_files import gather, without_names  # noqa: PLC0415
    from intramural.pages.portfolio_page import printed  # noqa: PLC0415

    profiles = gather([traceable], skip_bad=True).profiles

    assert CANARY in json.dumps(printed(summarise(profiles)))
    assert CANARY not in json.dumps(printed(summarise(without_names(profiles), anonymous=True)))


def test_anonymised_profiles_are_written_into_a_new_folder(traceable, tmp_path, told):
    out = tmp_path / "out"

    told(traceable, "--anonymous", "--skip-bad", "--profiles", out)

    assert sorted(each.name for each in out.iterdir()) == ["profile-0001.yaml", "profile-0002.yaml"]
    assert all(CANARY not in each.read_text() for each in out.iterdir())
    assert json.loads(told(out, "--json").out)["profiles"] == 2


def test_a_folder_with_something_in_it_is_left_alone(traceable, tmp_path, told):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    said = told(traceable, "--anonymous", "--skip-bad", "--profiles", tmp_path / "out", code=2)

    assert "is there already" in said.err
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_fifty_profiles_take_no_time_worth_a_word(tmp_path, told):
    """A twentieth of the bound for a thousand is 0.25 s; a busy machine gets ten times that."""
    folder = write_profiles(tmp_path / "many", 50)
    start = time.process_time()

    told(folder)

    assert time.process_time() - start < 2.5
