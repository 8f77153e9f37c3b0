"""
Write the pages of `docs/reference/` from the code: `python docs/generate.py`.

    tune.schema.json    what `intramural schema tune` prints
    policy.schema.json  what `intramural schema policy` prints
    profile.schema.json what `intramural schema profile` prints
    profile.md          every question of the interview
    cli.md              every command, argument and option
    settings.md         every key of intramural.toml

`tests/architecture/test_docs_current.py` fails when one of them is stale.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import click

from intramural.cli.commands import COMMANDS, call, command
from intramural.cli.exit_codes import ExitCode
from intramural.domain.asking import ProfileField
from intramural.domain.profile import FIELDS
from intramural.interview.guide import guide
from intramural.interview.sheet import choices_of, condition_of
from intramural.settings import FILE, PREFIX, Settings

REFERENCE = Path(__file__).resolve().parent / "reference"
DO_NOT_EDIT = "<!-- Written by docs/generate.py; a change belongs in the code. -->"
COMMANDS_INTRO = """\
Every command takes `-h` and `--json`. With `--json` it prints one JSON document on standard output and nothing else
there (`run --wait` and `watch`: one event a line, the report as the last line); an error is then
`{"error": {"code", "message", "hint", "about"}}`.

JOB is a job's id, the unique beginning of it, or its name (the newest of that name)."""
PROFILE_INTRO = """\
A workload in numbers: the answers to the discovery interview, in six sections. `intramural interview` asks them,
`intramural schema profile` prints [the schema](profile.schema.json); [how to interview](../howto/interview.md) shows the
ways in.

Beside the sections stand `version` (1), `name`, `respondent` (a role), `interviewed` (a day), `window_days` (how many days back
the answers reach, 90) and `notes`. Every key may be left out. An unknown key is an error that names its line and the nearest
key.

## An answer

    success_rate: ~95%                     # what was asked, said as people say it
    success_rate: unknown                  # asked; the person does not know
    success_rate:                          # one answer per provenance, side by side
      asked: 95%
      measured:
        value: 61%
        confidence: exact                  # or rough, the default
        window: {days: 90, first: 2026-08-04, last: 2026-11-01}
        source: sacct

The provenances are `asked`, `measured`, `imported` and `estimated`. None overwrites another; where one number is needed, the
measured one comes first, then the imported, the asked and the estimated one, and a known value before an unknown one.

| kind | written as |
|---|---|
| time | `2h`, `90 min`, `1h 30min`, `1:30`, `1-3 days`, `2 years`; the unit is a must |
| size | `1.5 TB`, `800 MB`, `16 GiB`; a bare number is GB |
| share | `~45%`, `10-20 %`, from 0 to 100 % |
| count | `12`, `200-300`, `13k samples`, `2.5B`, `70B`; GPUs in whole numbers |
| range | `2-4`, `at least 2h`, `<= 10 min`; `~` marks what is approximate |
| list | `a, b`, or a YAML list; `a > b` where the order counts; `"a, b"` keeps a comma |
| shares | `dev 10%; eval 90%`, or a mapping; a part without a figure is named only |
| p50 and p90 | `eval 10 min / 1h`, `eval p90 1h`, or a mapping of `p50` and `p90`; `?` is unknown |

Shares that do not add up to 100 % are kept with a warning, or scaled when you ask for it. Refused are: a share above 100 %, a
number below zero, a p90 below its p50, GPUs in fractions; and, among the answers that were asked, several nodes where no job
asks for more than one GPU, a sequence longer than the data set, more samples than tokens."""
SETTINGS_INTRO = f"""\
Everything intramural keeps lies under `INTRAMURAL_HOME` (default: the platform's user data folder). A file `{FILE}`
there sets the keys below; a variable of the environment wins over it. An unknown key is an error."""
SETTINGS_END = "`INTRAMURAL_DEBUG=1` shows the whole trace of a fault of our own, which may quote content."
EXIT_WORDS = {
    ExitCode.OK: "it did what was asked",
    ExitCode.RUN_FAILED: "the job failed, was cancelled, or was paused while it was followed",
    ExitCode.USAGE: "usage or configuration: an unknown command, key or name, a malformed file, a state that does not allow it",
    ExitCode.GATE_FAILED: "a gate failed (not in use yet)",
    ExitCode.WAITING: "waiting for an approval",
    ExitCode.REFUSED: "refused by a rule or a role, at once or when the job's turn came",
    ExitCode.INTEGRITY: "bytes are not what their digest says, or a run met such; a proof failed; a drill found a difference",
    ExitCode.LIMIT: "too little memory or disk, or a time-out",
    ExitCode.UNAVAILABLE: "something is away, or a fault of our own",
    ExitCode.INTERRUPTED: "Ctrl-C; nothing is half done, and a job that was followed goes on",
}


def schema(name: str = "tune") -> str:
    """Return what `intramural schema NAME` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        call(["schema", name])
    return out.getvalue()


def profile() -> str:
    """Return the table of every question of the interview."""
    parts = ["# profile.yaml", DO_NOT_EDIT, PROFILE_INTRO]
    for number, section in enumerate(guide().sections):
        questions = [each for each in FIELDS if each.section == number]
        parts.append(f"## {number}. {section.title}\n\n{section.time}, `{questions[0].path.partition('.')[0]}`.")
        for each in questions:
            parts += _question(each)
    return "\n\n".join(parts) + "\n"


def _question(asked: ProfileField) -> Iterator[str]:
    """Yield the paragraphs of one question."""
    key = asked.path.partition(".")[2]
    yield f"### `{key}`"
    condition = condition_of(asked)
    yield f"{asked.question} *{asked.why}*" + (f"\n{condition[0].upper()}{condition[1:]}." if condition else "")
    yield "\n".join(f"- guide {line}: {guide().lines[line]}" for line in asked.guide)
    choices = ", ".join(f"`{each.key}`" for each in choices_of(asked.kind))
    own = " or your own words" if getattr(getattr(asked.kind, "keys", asked.kind), "open", False) and choices else ""
    yield (f"Choices: {choices}{own}.\n" if choices else "") + f"Example: `{asked.kind.example}`"


def commands() -> str:
    """Return the reference of the command line."""
    exits = [f"| {code.value} | {EXIT_WORDS[code]} |" for code in ExitCode]
    parts = ["# The command line", DO_NOT_EDIT, COMMANDS_INTRO, "## Exit codes", _table("code", exits)]
    context = click.Context(command, info_name="intramural")
    for title, section in COMMANDS.items():
        parts.append(f"## {title}")
        for name in section:
            parts += _command(command, name, context)
    return "\n\n".join(parts) + "\n"


def _command(group: click.Group, name: str, above: click.Context) -> Iterator[str]:
    """Yield the paragraphs of one command, or of every command below it."""
    command = group.get_command(above, name)
    if command is None:
        raise LookupError(name)
    context = click.Context(command, info_name=name, parent=above)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _command(command, inner, context)
        return
    yield from _paragraphs(command, context)
    for inner, below in getattr(command, "more", {}).items():
        yield from _paragraphs(below, click.Context(below, info_name=inner, parent=context))


def _paragraphs(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"### {context.command_path.removeprefix('intramural ')}"
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield inspect.cleandoc(command.help or "")
    options = [each for each in command.params if isinstance(each, click.Option) and each.name != "as_json"]
    if options:
        yield _table("option", [_option(each, context) for each in options])


def _option(option: click.Option, context: click.Context) -> str:
    names, words = option.get_help_record(context) or ("", "")
    return f"| `{_cell(names)}` | {_cell(words)} |"


def _table(first: str, rows: list[str]) -> str:
    return "\n".join([f"| {first} | meaning |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def settings() -> str:
    """Return the table of what an operator may set."""
    words = _docstrings()
    rows = [
        f"| `{name}` | `{PREFIX}{name.upper()}` | {_default(field.default)} | {_cell(words[name])} |"
        for name, field in Settings.model_fields.items()
        if name != "home"
    ]
    table = "\n".join(["| key | variable | default | meaning |", "|---|---|---|---|", *rows])
    return "\n\n".join(["# Settings", DO_NOT_EDIT, SETTINGS_INTRO, table, SETTINGS_END]) + "\n"


def _default(value: object) -> str:
    return "none" if value is None else f"`{str(value).lower()}`"


def _docstrings() -> dict[str, str]:
    """Return the text under each field of `Settings`, or its name in words where there is none."""
    found = {name: name.replace("_", " ").capitalize() + "." for name in Settings.model_fields}
    (tree,) = ast.parse(inspect.getsource(Settings)).body
    body = getattr(tree, "body", [])
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = str(text.value.value)
    return found


PAGES: dict[str, Callable[[], str]] = {
    "policy.schema.json": lambda: schema("policy"),
    "profile.schema.json": lambda: schema("profile"),
    "profile.md": profile,
    "tune.schema.json": schema,
    "cli.md": commands,
    "settings.md": settings,
}


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for page, write in PAGES.items():
        (REFERENCE / page).write_text(write(), encoding="utf-8")
