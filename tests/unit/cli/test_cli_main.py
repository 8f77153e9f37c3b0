"""Commands, errors and exit codes of the command line itself."""

import json

import pytest

from intramural import errors
from intramural.cli.commands import COMMANDS, command
from intramural.cli.exit_codes import ExitCode, ending_code, exit_code
from intramural.cli.main import run
from intramural.cli.output import fault, printable, printable_lines, table
from intramural.domain.cause import Cause
from intramural.domain.job import JobState
from intramural.domain.report import JobReport


@pytest.mark.parametrize("name", [name for section in COMMANDS.values() for name in section])
def test_every_command_of_the_table_opens_and_explains_itself(name, capsys):
    assert run([name, "--help"]) == 0

    text = capsys.readouterr().out
    assert text.startswith(f"Usage: intramural {name}")


def test_every_command_takes_json():
    def leaves(group):
        for name in group.list_commands(None):
            each = group.get_command(None, name)
            yield from leaves(each) if hasattr(each, "list_commands") else [each]

    without = [each.name for each in leaves(command) if not any("--json" in option.opts for option in each.params)]

    assert without == []


def test_help_names_every_command(capsys):
    assert run(["--help"]) == 0

    text = capsys.readouterr().out
    assert all(name in text for section in COMMANDS.values() for name in section)


def test_an_unknown_command_names_the_nearest(capsys):
    assert run(["shwo"]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Did you mean `show`?" in captured.err


def test_a_usage_error_is_one_document_with_json(capsys):
    assert run(["show", "--json", "--nonsense"]) == 2

    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "usage"
    assert captured.err == ""


def all_errors(kind=errors.IntramuralError):
    return [kind, *(each for child in kind.__subclasses__() for each in all_errors(child))]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InvalidInput, 2),
        (errors.NotFound, 2),
        (errors.Conflict, 2),
        (errors.Refused, 5),
        (errors.UnsafeModel, 5),
        (errors.IntegrityFailure, 6),
        (errors.DriftDetected, 6),
        (errors.TimedOut, 7),
        (errors.DoesNotFit, 7),
        (errors.Unavailable, 8),
    ],
)
def test_the_exit_code_follows_the_class(kind, code):
    assert exit_code(kind("what happened")) == code


@pytest.mark.parametrize(
    ("cause", "code"), [("refused", 5), ("integrity", 6), ("time_limit", 1), ("user_code_error", 1), (None, 1)]
)
def test_a_failed_job_ends_as_a_command_does_that_meets_the_same(cause, code):
    report = JobReport.model_construct(state=JobState.FAILED, cause=Cause(cause) if cause else None)

    assert ending_code(report) == code


def test_no_error_ends_with_success_or_as_a_failed_run():
    assert {exit_code(kind.__new__(kind)) for kind in all_errors()}.isdisjoint({ExitCode.OK, ExitCode.RUN_FAILED})


def test_a_fault_of_our_own_is_told_by_class_and_place_and_quotes_nothing():
    try:
        {}["Jane Doe's account number"]
    except KeyError as error:
        document = fault(error)

    assert "KeyError at test_cli_main.py:" in document["message"]
    assert "Jane" not in json.dumps(document)


def test_no_value_steers_the_terminal():
    assert printable("a\x1b[31mb\x07\nc\u202e") == "a[31mb c"
    assert printable_lines("one\x1b\ntwo") == "one\ntwo"


def test_a_table_is_aligned_plain_text_off_a_terminal(capsys):
    table(["name", "size"], [["a", "1"], ["longer", "1000"]], right=[1])

    assert capsys.readouterr().out.splitlines() == ["NAME    SIZE", "a          1", "longer  1000"]


def test_an_empty_table_says_so_on_standard_error(capsys):
    table(["name"], [], empty="No job yet.")

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "No job yet.\n")
