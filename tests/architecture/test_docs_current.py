"""The pages say what the code does: references are fresh, links lead somewhere, commands exist, keys have their defaults."""

import importlib.util
import re
import shlex
import textwrap
from pathlib import Path

import click
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from intramural.cli.commands import command
from intramural.domain.spec import JobSpec

HOUSE = Path(__file__).parents[2]
DOCS = HOUSE / "docs"
PAGES = sorted(path for folder in ("", "docs", "changes") for path in (HOUSE / folder).glob("**/*.md" if folder else "*.md"))
NAMES = [path.relative_to(HOUSE).as_posix() for path in PAGES]
WORDS = re.split(
    r",\s+",
    """org, project, member, role, action, key, profile, policy, verdict, approval, classification, plan, estimate, inventory,
    catalogue, base model, adapter, checkpoint, artifact, dataset, dataset version, example, sample, job, run, class, slo,
    queue, priority, quota, lease, fence, executor, outcome, cause, suite, scorer, score, gate, report, baseline, endpoint,
    gateway, receipt, seal, unseal, shred, actor, audit entry, token, home, drill, drift, workload, lane""",
)
"""The words of the design, and those that grew beside them."""


def generator():
    found = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def text_of(page):
    return (HOUSE / page).read_text(encoding="utf-8")


def prose_of(page):
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```|^(?: {4}|\t).*?$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def code_of(page):
    """The lines of the page's blocks of code."""
    text = text_of(page)
    fenced = [
        line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for line in block.splitlines()
    ]
    return [line.strip() for line in fenced + re.findall(r"^ {4,}\S.*$", text, re.MULTILINE)]


def quoted_in(page):
    return re.findall(r"`([^`\n]+)`", prose_of(page))


@pytest.mark.parametrize("page", sorted(generator().PAGES))
def test_a_reference_is_what_the_code_says(page):
    assert text_of(f"docs/reference/{page}") == generator().PAGES[page](), "run: python docs/generate.py"


def anchors_of(page):
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", NAMES)
def test_every_link_leads_somewhere(page):
    links = [each for each in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)) if "://" not in each]
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = ((HOUSE / page).parent / path).resolve() if path else HOUSE / page
        if not target.exists() or (anchor and anchor not in anchors_of(target.relative_to(HOUSE))):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", NAMES)
def test_every_file_a_page_names_is_there(page):
    named = [each for each in quoted_in(page) if re.fullmatch(r"(src|tests|docs|bench|demo)/[\w./-]+", each)]

    assert [each for each in named if not (HOUSE / each).exists()] == []


@pytest.mark.parametrize("page", NAMES)
def test_what_a_page_places_in_a_file_is_there(page):
    """`name` in `src/…`, or `name` (`src/…`): the file has that name in it."""
    placed = re.findall(r"`(?:[A-Za-z]\w*\.)?(\w+)(?:\(.*?\))?`\s+(?:in|of|\()\s*`(src/[\w./]+\.py)`", prose_of(page))

    assert [name for name, path in placed if not re.search(rf"\b{name}\b", text_of(path))] == []


def test_the_verb_that_is_followed_through_the_house_is_printed_as_it_is():
    (block,) = re.findall(r"^ {7}def .*?(?=^ {0,3}\S)", text_of("docs/develop/adding-a-verb.md"), re.DOTALL | re.MULTILINE)

    assert textwrap.dedent(block).strip() in text_of("src/intramural/service/jobs.py")


def commands_in(page):
    lines = [re.sub(r"^\$ ", "", each) for each in code_of(page)] if not page.startswith("docs/reference/") else []
    return [shlex.split(each, comments=True)[1:] for each in lines if each.startswith("intramural ")]


@pytest.mark.parametrize("page", [each for each in NAMES if commands_in(each)])
def test_every_command_line_on_a_page_is_one(page):
    """Options and arguments are checked by click itself; nothing is run."""
    for line in commands_in(page):
        found, words = command, list(line)
        while isinstance(found, click.Group):
            found = found.get_command(click.Context(found), words.pop(0))
            assert found is not None, line
        found.make_context(found.name, words)


@pytest.mark.parametrize("page", NAMES)
def test_every_command_a_sentence_names_exists(page):
    for quoted in [each.split() for each in quoted_in(page) if each.startswith("intramural ")]:
        found, rest = command, [each for each in quoted[1:] if not each.startswith("-")]
        while isinstance(found, click.Group) and rest:
            found = found.get_command(click.Context(found), rest.pop(0))
        assert found is not None, " ".join(quoted)


@pytest.mark.parametrize("page", NAMES)
def test_every_make_target_a_page_names_exists(page):
    known = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = [match[1] for each in code_of(page) + quoted_in(page) if (match := re.match(r"make ([a-z-]+)\b", each))]

    assert [each for each in named if each not in known] == []


def test_every_decision_is_in_the_index_under_its_number():
    records = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))
    index = re.findall(r"^\| \[(\d+)\]\(([^)]+)\)", text_of("docs/decisions/README.md"), re.MULTILINE)

    assert [name for _, name in index] == records
    assert [int(number) for number, _ in index] == [int(name[:4]) for name in records] == list(range(1, len(records) + 1))


def defined_words():
    terms = re.findall(r"^- (\*\*.+?): ", text_of("docs/concepts/glossary.md"), re.MULTILINE)
    return {word for term in terms for word in re.findall(r"\*\*(.+?)\*\*", term)}


def test_every_word_that_the_code_uses_is_in_the_glossary():
    source = " ".join(path.read_text() for path in (HOUSE / "src").rglob("*.py")).lower()
    apart = re.sub(r"[\W_]+", " ", source)
    used = {word for word in WORDS if re.search(rf"\b{word}s?\b", apart)}

    assert len(used) > 40
    assert used - defined_words() == set()


def test_the_glossary_defines_each_word_once():
    terms = re.findall(r"^- \*\*(.+?)\*\*", text_of("docs/concepts/glossary.md"), re.MULTILINE)

    assert len(terms) == len(set(terms))


def keys_of(kind, above=""):
    """Every key of a tune.yaml with its default as a page writes it."""
    for name, field in kind.model_fields.items():
        key = f"{above}{field.alias or name}"
        if isinstance(field.default, BaseModel):
            yield from keys_of(type(field.default), f"{key}.")
        else:
            yield key, written(field.default)


def written(default):
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, tuple):
        return f"`[{', '.join(default)}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_the_page_of_tune_yaml_has_every_key_with_its_default():
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \|", text_of("docs/concepts/tune.md"), re.MULTILINE)

    assert dict(rows) == dict(keys_of(JobSpec))


def test_the_page_of_tune_yaml_has_the_numbers_of_its_rules():
    from intramural.workloads import measure, resolve  # noqa: PLC0415  torch, for one test

    page = text_of("docs/concepts/tune.md")
    rates = re.findall(r"^\| (?:below ([\d.]+) billion|more) \| (\de-\d+) \|", page, re.MULTILINE)
    batches = re.findall(r"^\| (?:below ([\d,]+)|more) \| (\d+) \|$", page, re.MULTILINE)

    assert [(float(below or "inf") * 1e9, float(rate)) for below, rate in rates] == list(resolve.RATES)
    assert [(int(below.replace(",", "")), int(size)) for below, size in batches if below] == list(resolve.BATCHES)
    assert int(batches[-1][1]) == resolve.LARGEST_BATCH
    for number in (resolve.CPU_PASS_TOKENS, resolve.GPU_PASS_TOKENS, measure.LONGEST_ANSWER):
        assert f"{number:,}" in page
