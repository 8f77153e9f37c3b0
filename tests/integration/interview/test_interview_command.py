"""`intramural interview` without a terminal: files, settings, pipes, sheets; wrong input writes nothing."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

from disks import a_disk, make_read_only
from factories import a_merged_profile, a_profile
from intramural.cli.main import run
from intramural.domain.profile import FIELDS, Profile, applies
from intramural.interview.conversation import begin
from intramural.interview.profile_file import load, save, write

CONTENT = "zebra-7731"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def told(capfd):
    """Run the command and return its exit code, standard output and standard error."""

    def call(*arguments):
        capfd.readouterr()
        code = run(["interview", *map(str, arguments)])
        captured = capfd.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return call


@pytest.fixture
def piped(told, monkeypatch):
    """Run the command with *text* on standard input."""

    def call(text, *arguments):
        content = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return told(*arguments)

    return call


def files(folder):
    return sorted(each.name for each in folder.iterdir())


def test_settings_and_a_file_of_answers_make_a_profile(told, here):
    (here / "answers.yaml").write_text("name: Acme\nanatomy.job_mix: lora 60%, eval 40%\ncontext.people: 12\n")

    done = told("acme.yaml", "--answers", "answers.yaml", "--set", "stack.qlora=yes", "--set", "context.people=~15", "--json")

    assert done.code == 0
    assert json.loads(done.out) == load(here / "acme.yaml").document()
    assert load(here / "acme.yaml").context.people.asked.value.approximate
    assert "Saved in acme.yaml: 3 of" in done.err
    assert load(here / "acme.yaml").interviewed is not None


def test_a_whole_profile_is_a_file_of_answers_and_what_was_measured_stays(told, here):
    save(here / "profile.yaml", a_merged_profile(anatomy__pains=None))
    save(here / "other.yaml", a_profile(anatomy__success_rate="90%"))

    assert told("--answers", "other.yaml").code == 0

    answers = load(here / "profile.yaml").anatomy
    assert (answers.success_rate.asked.value.middle, answers.success_rate.measured.value.middle) == (90, 61)
    assert answers.pains.asked is not None


def test_every_question_can_be_answered_through_a_pipe(piped, here):
    profile, lines = a_profile(), []
    conversation = begin(Profile())
    while conversation.at:
        said = profile.answers(conversation.at).asked
        lines.append("?" if said is None or said.value is None else conversation.asked.kind.write(said.value))
        conversation = conversation.answered(lines[-1])

    done = piped("\n".join(["Northwind Claims", "ML platform lead", "90", *lines]) + "\n", "--json")

    assert done.code == 0
    found = load(here / "profile.yaml")
    assert begin(found).left().questions == 0
    answered = [each.path for each in FIELDS if applies(profile, each)]
    assert {path: found.answers(path) for path in answered} == {path: profile.answers(path) for path in answered}
    assert json.loads(done.out) == found.document()
    assert "Next: intramural report --profile profile.yaml" in done.err


def test_a_pipe_that_ends_early_is_taken_up_again(piped, here):
    assert piped("Acme\n\n\n2\n").code == 0
    done = piped("12\n:section 3\nip, pii\n")

    assert done.code == 0
    found = load(here / "profile.yaml")
    assert (found.name, found.context.people.asked.value.middle) == ("Acme", 12)
    assert found.governance.contents.asked.value == ("ip", "pii")
    assert "still open" in done.err


def test_a_line_that_is_no_answer_ends_the_pipe_and_keeps_what_came_before(piped, here):
    done = piped(f"Acme\n\n\n2\n{CONTENT} many\n5\n")

    assert done.code == 2
    assert "standard input, line 5: `context.people`: write a number" in done.err
    assert CONTENT not in done.err
    assert load(here / "profile.yaml").context.organisation.asked.value == "small_team"


@pytest.mark.parametrize(("options", "total"), [([], 120), (["--normalise"], 100)])
def test_shares_in_a_pipe_are_kept_with_a_warning_or_scaled_on_request(piped, here, options, total):
    save(here / "profile.yaml", a_profile(anatomy__job_mix=None))

    done = piped("dev 60%; eval 60%\n", *options)

    assert "120 %" in done.err
    assert load(here / "profile.yaml").anatomy.job_mix.asked.value.total == total


def test_shares_given_at_once_are_kept_with_a_warning_or_scaled_on_request(told, here):
    kept = told("--set", "anatomy.job_mix=dev 60%; eval 60%")
    assert (kept.code, load(here / "profile.yaml").anatomy.job_mix.asked.value.total) == (0, 120)
    assert "adds up to 120 %; kept as given. --normalise scales it" in kept.err

    told("--set", "name=Acme", "--normalise")
    assert load(here / "profile.yaml").anatomy.job_mix.asked.value.total == 100


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (b"anatomy:\n  sucess_rate: 95%\n", "line 2: unknown key `anatomy.sucess_rate`; did you mean `success_rate`?"),
        (b"anatomy.sucess_rate: 95%\n", "line 1: no question `anatomy.sucess_rate`; did you mean `anatomy.success_rate`?"),
        (b"anatomy.success_rate: 130%\n", "between 0 and 100"),
        (b"anatomy.run_time: dev 5h / 2h\n", "p90 is below p50"),
        (b"anatomy.dataset_size: -5 GB\n", "below zero"),
        (b"anatomy.gpu_count: 9 of 8\n", "`anatomy.gpu_count`"),
        (b"anatomy.gpu_count: 1\nanatomy.multi_node: 10%\n", "one GPU cannot span nodes"),
        (b"name: a\nname: b\n", "given twice"),
        (b"name: [\n", "line 2"),
        (b"name: caf\xe9\n", "line 1: this is not UTF-8 text"),
        (b"- a\n- b\n", "must be a mapping"),
        (b"name: \x00\n", "character"),
    ],
)
def test_wrong_answers_are_told_with_their_place_and_nothing_is_written(told, here, answers, expected):
    (here / "answers.yaml").write_bytes(answers)

    done = told("--answers", "answers.yaml", "--set", "stack.qlora=yes")

    assert (done.code, files(here)) == (2, ["answers.yaml"])
    assert expected in done.err
    assert "→" in done.err


@pytest.mark.parametrize("setting", ["anatomy.success_rate=130%", "success_rate=95%", "nonsense", "=5", "anatomy.mood=good"])
def test_a_wrong_setting_leaves_the_profile_as_it_was(told, here, setting):
    save(here / "profile.yaml", a_profile())
    before = (here / "profile.yaml").read_bytes()

    done = told("--set", "stack.cuda=13", "--set", setting)

    assert done.code == 2
    assert "--set" in done.err
    assert (here / "profile.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (".", "is a folder"),
        ("nowhere/profile.yaml", "cannot be written: No such file or directory"),
        ("answers.yaml/profile.yaml", "Not a directory"),
        ("sheet.md", "cannot be a profile"),
        ("broken.yaml", "broken.yaml, line 1: unknown key `nmae`; did you mean `name`?"),
    ],
)
def test_a_place_that_is_no_profile_is_told(told, piped, here, file, expected):
    (here / "answers.yaml").write_text("name: Acme\n")
    (here / "broken.yaml").write_text("nmae: Acme\n")

    for done in (told(file, "--set", "name=Acme"), piped("Acme\n", file)):
        assert done.code == 2
        assert expected in done.err
        assert files(here) == ["answers.yaml", "broken.yaml"]


def test_a_disk_that_cannot_be_written_or_is_full_leaves_the_old_profile(told, here):
    with a_disk(here / "disk", "size=64k") as disk:
        save(disk / "profile.yaml", a_profile())
        (disk / "filler").write_bytes(b"x" * 4096 * (15 - 2))

        done = told(disk / "profile.yaml", "--set", "notes=" + "long " * 3000)
        assert done.code == 2
        assert "No space left" in done.err
        assert load(disk / "profile.yaml") == a_profile()
        assert files(disk) == ["filler", "profile.yaml"]

        make_read_only(disk)
        done = told(disk / "profile.yaml", "--set", "name=Acme")
        assert (done.code, "Read-only file system" in done.err) == (2, True)
        assert load(disk / "profile.yaml") == a_profile()


def test_a_sheet_is_printed_filled_in_and_read_back(told, here):
    save(here / "profile.yaml", a_merged_profile())

    assert told("sheet", "-o", "sheet.md", "--profile", "profile.yaml").code == 0
    done = told("import", "sheet.md", "--into", "back.yaml", "--json")

    assert done.code == 0
    assert json.loads(done.out)["unread"] == []
    assert load(here / "back.yaml") == a_profile()
    assert told("import", "sheet.md").code == 0
    assert load(here / "profile.yaml") == a_merged_profile()


@pytest.mark.parametrize(("options", "code"), [([], 2), (["--partial"], 0)])
def test_what_a_sheet_says_that_cannot_be_read_is_listed_and_the_rest_is_taken(told, here, options, code):
    told("sheet", "-o", "sheet.md")
    sheet = (
        (here / "sheet.md")
        .read_text()
        .replace("- [ ] Small ML", "- [x] Small ML")
        .replace("\nAnswer:", f"\nAnswer: {CONTENT}, 5%%", 2)
    )
    (here / "sheet.md").write_text(sheet)

    done = told("import", "sheet.md", *options)

    assert done.code == code
    line = next(number for number, each in enumerate(sheet.splitlines(), 1) if "[x] Small" in each)
    assert f"sheet.md, line {line + 3}: `context.organisation`: more than one answer" in done.err
    assert "`context.people`: write a number" in done.err
    assert CONTENT not in done.err
    assert load(here / "profile.yaml").context.organisation.asked is None


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_the_pdf_is_one(told, here, paper):
    save(here / "profile.yaml", a_merged_profile(notes="$x$ #let *a* _b_ \\ @c"))

    assert told("sheet", "-o", "sheet.pdf", "--profile", "profile.yaml", "--paper", paper).code == 0

    content = (here / "sheet.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert files(here) == ["profile.yaml", "sheet.pdf"]


def test_the_sheet_alone_goes_to_standard_output(told):
    assert told("sheet").out.startswith("# Discovery interview\n")
    assert len(json.loads(told("sheet", "--json").out)["sections"]) == 6


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sheet", "-o", "sheet.docx"], "neither Markdown nor PDF"),
        (["sheet", "-o", "nowhere/sheet.pdf"], "cannot be written"),
        (["sheet", "--profile", "nowhere.yaml"], "nowhere.yaml is not there"),
        (["import", "nowhere.md"], "nowhere.md is not there"),
        (["import", "answers.yaml"], "is not a sheet of the interview"),
        (["import", "sheet.pdf"], "not UTF-8 text"),
        (["import", "."], "is a folder"),
    ],
)
def test_wrong_use_of_the_sheet_is_told_and_writes_nothing(told, here, arguments, expected):
    (here / "answers.yaml").write_text("name: Acme\n")
    (here / "sheet.pdf").write_bytes(b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n")

    done = told(*arguments)

    assert (done.code, expected in done.err) == (2, True)
    assert files(here) == ["answers.yaml", "sheet.pdf"]


AWKWARD = [
    "no",
    "1:30",
    "1e9",
    "08",
    "null",
    "~",
    "a: b",
    "# no comment",
    "'quoted\"",
    "- [x]",
    "ünïcode 数",
    "12.50",
    "true",
    "\\n",
    "=x",
]


@pytest.mark.parametrize("words", AWKWARD)
def test_awkward_words_come_back_from_the_file(here, words):
    profile = Profile(name=words, notes=f"{words}\n  {words}\n\n{words}")
    profile = profile.with_answers("stack.cuda", a_profile(stack__cuda={"asked": {"value": words, "source": words}}).stack.cuda)

    save(here / "profile.yaml", profile)

    assert load(here / "profile.yaml") == profile


def test_a_profile_is_written_to_be_read_by_people(here):
    text = write(a_profile(anatomy__gpu_count="1 60%; 8 40%"))

    assert text.startswith("# A workload in numbers.")
    assert "\n\nanatomy:\n  job_mix:\n    sft_lora: 55 %\n" in text
    assert "{" not in text


def test_a_link_to_a_profile_stays_a_link_and_its_mode_stays(here):
    save(here / "real.yaml", Profile(name="one"))
    (here / "real.yaml").chmod(0o600)
    (here / "profile.yaml").symlink_to("real.yaml")

    save(here / "profile.yaml", Profile(name="two"))

    assert (here / "profile.yaml").is_symlink()
    assert load(here / "real.yaml").name == "two"
    assert (here / "real.yaml").stat().st_mode & 0o777 == 0o600
