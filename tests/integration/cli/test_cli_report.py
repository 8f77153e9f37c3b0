"""`intramural report` over real files: every form, the hard numbers, and what is refused."""

import json
import sys
from pathlib import Path

import pytest

from factories import a_measured_profile, a_merged_profile, a_profile
from intramural.cli.main import run
from intramural.cli.report_terminal import print_page
from intramural.domain.one_page import OnePage
from intramural.interview import profile_file
from intramural.interview.page import one_page


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    profile_file.save(Path("profile.yaml"), a_merged_profile())
    return tmp_path


def test_the_page_fits_a_terminal_of_100_columns(capsys):
    assert run(["report"]) == 0

    text = capsys.readouterr().out
    assert "Success rate: said 95 %, measured 61 %" in text
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 100


def test_control_characters_of_a_profile_do_not_reach_the_terminal(capsys):
    profile = a_profile(name="a\x1b[2Jb\x07", stack__cuda="f [bold]g[/bold]")
    print_page(one_page(profile), sys.stdout)

    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]g[/bold]" in text


@pytest.mark.parametrize(
    ("name", "begins"),
    [("p.pdf", b"%PDF-"), ("p.html", b"<!DOCTYPE"), ("p.md", b"# North"), ("p.txt", b"North"), ("p.json", b"{")],
)
def test_the_ending_says_the_format(name, begins, folder):
    assert run(["report", "-o", name]) == 0

    assert (folder / name).read_bytes().lstrip().startswith(begins)
    assert sorted(path.name for path in folder.iterdir()) == sorted(["profile.yaml", name])


def test_json_is_the_whole_page(capsys):
    assert run(["report", "--json"]) == 0

    page = OnePage.model_validate(json.loads(capsys.readouterr().out))
    assert [each.path for each in page.contradictions if each.label == "Success rate"] == ["anatomy.success_rate"]


def test_a_profile_of_another_name_is_read(capsys):
    profile_file.save(Path("other.yaml"), a_measured_profile())

    assert run(["report", "--profile", "other.yaml", "--format", "md"]) == 0

    assert "- Asked: nobody was asked" in capsys.readouterr().out


def test_hard_numbers_are_one_document(capsys):
    assert run(["report", "hard-numbers", "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["success_rate"]["value"] == 61
    assert document["run_time_p90"]["by"]["sft_lora"]["value"] == 39600


def test_hard_numbers_are_a_table_too(capsys):
    profile_file.save(Path("other.yaml"), a_profile())

    assert run(["report", "hard-numbers", "--profile", "other.yaml"]) == 0

    assert "success_rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--profile", "nowhere.yaml"], "`intramural interview nowhere.yaml` asks"),
        (["--profile", "."], "is a folder"),
        (["-o", "page.doc"], "names no format"),
        (["-o", "page.pdf", "--format", "md"], "ends like pdf"),
        (["--format", "doc"], "'doc' is not one of"),
        (["--paper", "a5"], "'a5' is not one of"),
        (["-o", "nowhere/page.html"], "cannot be written"),
        (["-o", "nowhere/page.pdf"], "cannot be written"),
        (["hard-number"], "hard-number"),
        (["hard-numbers", "--profile", "nowhere.yaml"], "`intramural interview nowhere.yaml` asks"),
    ],
)
def test_what_cannot_be_done_says_what_can(arguments, told, capsys, folder):
    before = sorted(folder.rglob("*"))

    assert run(["report", *arguments]) == 2

    assert told in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_two_formats_are_refused_as_a_document(capsys):
    assert run(["report", "--json", "--format", "md"]) == 2

    assert "two formats" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_broken_profile_names_line_and_field(capsys):
    Path("profile.yaml").write_text("anatomy:\n  success_rate: 130%\n  sucess: 3\n")

    assert run(["report"]) == 2

    told = capsys.readouterr().err
    assert "profile.yaml, line 2: `anatomy.success_rate`" in told
    assert "profile.yaml, line 3: unknown key `anatomy.sucess`; did you mean `success_rate`?" in told
