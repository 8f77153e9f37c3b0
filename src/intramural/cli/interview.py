"""`intramural interview`: the conversation, answers without one, the printable sheet and its way back."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.exit_codes import ExitCode
from intramural.cli.output import json_option, note, printable, write_json, write_text
from intramural.cli.with_more import CommandWithMore
from intramural.errors import InvalidInput

if TYPE_CHECKING:
    from intramural.domain.profile import Profile

PROFILE = Path("profile.yaml")
a_path = click.Path(path_type=Path)


@click.command(cls=CommandWithMore)
@click.argument("file", type=a_path, default=PROFILE)
@click.option(
    "--answers", type=a_path, metavar="FILE", help="Take the answers of a profile, or of `section.field: answer` lines."
)
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=ANSWER", help="Answer one question; an empty answer takes it away."
)
@click.option("--section", type=click.IntRange(0, 5), help="Begin with this section of the guide.")
@click.option("--normalise", is_flag=True, help="Scale shares that do not add up to 100 %.")
@json_option
def interview(
    file: Path, answers: Path | None, settings: tuple[str, ...], section: int | None, normalise: bool, as_json: bool
) -> int:
    """Ask the questions that are left and keep the answers in FILE.

    On a terminal it is a conversation in the guide's six sections; every answer is saved at once, and what was left
    open is asked the next time. Without a terminal it reads one answer a line. With --answers or --set it asks nothing.
    """
    from intramural.interview.given import take_file, take_settings  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview.profile_file import read_text, save  # noqa: PLC0415

    if section is not None and (answers is not None or settings):
        raise click.UsageError("--section belongs to the conversation; --answers and --set ask nothing.")
    profile, is_new = _present(file)
    if answers is None and not settings:
        return _converse(file, profile, is_new=is_new, section=section, normalise=normalise, as_json=as_json)
    if answers is not None:
        profile = take_file(profile, read_text(answers), where=str(answers))
    profile = take_settings(profile, settings)
    if profile.interviewed is None:
        profile = profile.model_copy(update={"interviewed": _today()})
    profile = _whole(profile, normalise=normalise)
    save(file, profile)
    _tell_saved(file, profile)
    if as_json:
        write_json(profile.document())
    return ExitCode.OK


@interview.add
@click.command("sheet", short_help="Print the interview with room for answers.")
@click.option("-o", "--output", type=a_path, metavar="FILE", help="Write FILE.md or FILE.pdf; without it Markdown is printed.")
@click.option("--profile", type=a_path, metavar="FILE", help="Fill in what this profile answers already.")
@click.option("--paper", type=click.Choice(["a4", "letter"]), default="a4", show_default=True, help="The paper of the PDF.")
@json_option
def sheet(output: Path | None, profile: Path | None, paper: str, as_json: bool) -> None:
    """Print the interview as a sheet with room for answers; `import` reads a filled-in Markdown sheet back."""
    from intramural.domain.profile import Profile  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview import sheet_markdown  # noqa: PLC0415
    from intramural.interview.profile_file import load  # noqa: PLC0415
    from intramural.interview.sheet import sheet_of  # noqa: PLC0415

    printed = sheet_of(load(profile) if profile else Profile())
    kind = output.suffix.lower() if output else ".md"
    if kind not in {".md", ".pdf"}:
        raise InvalidInput(f"{output} is neither Markdown nor PDF.", hint="End the name in .md or .pdf.")
    if output and kind == ".pdf":
        from intramural.cli.output import write_bytes  # noqa: PLC0415
        from intramural.pages.sheet_pdf import sheet_pdf  # noqa: PLC0415 - loads the typesetter

        write_bytes(sheet_pdf(printed.document(), paper=paper), output)
    elif output or not as_json:
        write_text(sheet_markdown.write(printed), output)
    if as_json:
        write_json(printed.document())


@interview.add
@click.command("import", short_help="Read a filled-in Markdown sheet.")
@click.argument("file", type=a_path)
@click.option(
    "--into", type=a_path, metavar="FILE", default=PROFILE, show_default=True, help="The profile that takes the answers."
)
@click.option("--partial", is_flag=True, help="Be content when some lines cannot be read.")
@click.option("--normalise", is_flag=True, help="Scale shares that do not add up to 100 %.")
@json_option
def import_sheet(file: Path, into: Path, partial: bool, normalise: bool, as_json: bool) -> int:
    """Read a filled-in Markdown sheet into a profile.

    Every line that can be read is taken; the others are listed, and the exit code is 2 unless --partial.
    """
    from intramural.interview import sheet_markdown  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview.profile_file import read_text, save  # noqa: PLC0415

    profile, _ = _present(into)
    reading = sheet_markdown.read(read_text(file), profile)
    if not reading.questions:
        raise InvalidInput(
            f"{file} is not a sheet of the interview: no question was found in it.",
            hint="`intramural interview sheet -o sheet.md` writes one.",
        )
    profile = _whole(reading.profile, normalise=normalise)
    save(into, profile)
    for each in reading.unread:
        note(f"{file}, line {each.line}: {printable(each.words)}")
    _tell_saved(into, profile)
    if as_json:
        unread = [each.document() for each in reading.unread]
        write_json({"profile": profile.document(), "taken": reading.taken, "unread": unread})
    return ExitCode.OK if partial or not reading.unread else ExitCode.USAGE


def _present(file: Path) -> tuple[Profile, bool]:
    """Return the profile in *file*, or an empty one and that it is new."""
    from intramural.domain.profile import Profile  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview.profile_file import load  # noqa: PLC0415

    if file.suffix.lower() in {".md", ".pdf", ".json"}:
        raise InvalidInput(f"{file} cannot be a profile.", hint="A profile is a .yaml file, such as profile.yaml.")
    return (load(file), False) if file.exists() else (Profile(), True)


def _converse(file: Path, profile: Profile, *, is_new: bool, section: int | None, normalise: bool, as_json: bool) -> int:
    from intramural.cli.interview_talk import Talk  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview.profile_file import save  # noqa: PLC0415

    if is_new:
        save(file, profile)  # a place that cannot be written to is told before the first answer
    if sys.stdin.isatty() and sys.stderr.isatty():
        from intramural.cli.interview_prompt import Terminal  # noqa: PLC0415

        talk = Talk(file, profile, Terminal(), today=_today())
    else:
        from intramural.cli.interview_talk import Lines  # noqa: PLC0415

        talk = Talk(file, profile, Lines(normalise=normalise), today=_today())
    code = talk.hold(section)
    if as_json:
        write_json(talk.profile.document())
    return code


def _whole(profile: Profile, *, normalise: bool) -> Profile:
    """Scale the shares that do not add up, or say that they do not."""
    from intramural.interview.answering import normalised, shares_that_do_not_add_up  # noqa: PLC0415 - keeps `--help` fast

    for path, total in shares_that_do_not_add_up(profile).items():
        if normalise:
            profile = normalised(profile, path)
            note(f"`{path}` added up to {total:g} % and was scaled to 100 %.")
        else:
            note(f"`{path}` adds up to {total:g} %; kept as given. --normalise scales it.")
    return profile


def _tell_saved(file: Path, profile: Profile) -> None:
    from intramural.interview.conversation import begin  # noqa: PLC0415 - keeps `--help` fast

    left = begin(profile).left()
    note(f"Saved in {file}: {left.of - left.questions} of {left.of} questions answered.")


def _today() -> date:
    from datetime import UTC, datetime  # noqa: PLC0415 - keeps `--help` fast

    return datetime.now(UTC).astimezone().date()
