"""A file that takes over what reads it gets nothing, says nothing that is believed, and cannot keep anybody waiting."""

import contextlib
import json
import random
import string
import struct
import zlib
from pathlib import Path

import orjson
import pytest

from intramural.app.readers import LIMITS
from intramural.domain.confinement import Level
from intramural.domain.findings import FindingKind, Treatment
from intramural.errors import InvalidInput, Unavailable
from intramural.intake import member
from intramural.intake.add import IngestOptions, ingest, score_sample
from intramural.intake.crew import Team
from intramural.intake.findings.screen import Screener, Screening
from intramural.intake.labelled import compare, compared_from, frame_of_compared
from intramural.intake.pieces import HEAD, MOST_BYTES, FrameKind, Piece, frame_of, piece_from
from intramural.intake.reading import ReadAs, Reading
from intramural.intake.sources import one_file
from intramural.walls.worker import worker

ROWS = [{"prompt": f"question {n} about the meter in the cellar", "completion": f"answer {n}"} for n in range(40)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)

TAKEN_OVER = """
import json, os, socket, sys, time
channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1]))
output = int(sys.argv[2])
def tried(work):
    try: work()
    except OSError: return False
    return True
for _ in range(2):
    told, files, _, _ = socket.recv_fds(channel, 1 << 20, 1)
found = {
    "home": tried(lambda: os.listdir(CLOSED)),
    "network": tried(lambda: socket.create_connection(("127.0.0.1", PORT), 1)),
    "system": tried(lambda: open("/etc/shadow")),
    "writes": tried(lambda: os.write(files[0], b"x")),
}
ANSWER
"""

TELL = 'body = json.dumps([json.dumps(found), ""]).encode(); os.write(output, b"X" + len(body).to_bytes(8, "little") + body)'
"""Answers with what it found, as the words of an error."""


def taken_over(folder, answer, **known):
    """A start that runs, within walls, what a file has made of the reader."""
    program = TAKEN_OVER.replace("ANSWER", answer)
    for name, value in known.items():
        program = program.replace(name.upper(), repr(value))
    (folder / "library").mkdir(exist_ok=True)
    (folder / "library" / "taken_over.py").write_text(program)

    @contextlib.contextmanager
    def start(module, arguments, *, pass_fds, read_only):
        environment = {"PYTHONPATH": str(folder / "library")}
        with worker("taken_over", arguments, environment=environment, read_only=read_only, pass_fds=pass_fds, limits=LIMITS):
            yield

    return start


def real(level):
    @contextlib.contextmanager
    def start(module, arguments, *, pass_fds, read_only):
        with worker(module, arguments, read_only=read_only, pass_fds=pass_fds, limits=LIMITS, level=level):
            yield

    return start


def add(tmp_path, start, content=LINES, name="rows.jsonl", *, workers=1, on=None, **options):
    source = tmp_path / name
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    work = tmp_path / "work"
    screening = Screening(key=b"k" * 32, cache_folder=tmp_path / "rules", said=on or {})
    if start is None:
        return ingest(source, work, IngestOptions(screening=screening, **options)), work
    with Team(start, rules=tmp_path / "rules", size=workers) as team:
        return ingest(source, work, IngestOptions(screening=screening, **options), team=team), work


def test_what_took_over_a_reader_reaches_nothing(tmp_path, world):
    (tmp_path / "secret").mkdir()

    with pytest.raises(InvalidInput) as caught:
        add(tmp_path, taken_over(tmp_path, TELL, closed=str(tmp_path / "secret"), port=world["tcp"]))

    assert json.loads(caught.value.message) == {"home": False, "network": False, "system": False, "writes": False}
    assert [*(tmp_path / "work").iterdir()] == []


def test_rules_that_may_not_be_kept_are_compiled_by_the_reader(tmp_path):
    """kingfisher keeps nothing below a folder that others can write to."""
    tmp_path.chmod(0o777)
    credential = "ghp_" + "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=36))  # noqa: S311 - made up

    row = {"prompt": f"please use {credential} for the export", "completion": "done"}

    made, _ = add(tmp_path, real(Level.NAMESPACES), json.dumps(row) + "\n" + json.dumps({**row, "prompt": "hello"}) + "\n")

    assert [each.count for each in made.findings if each.kind is FindingKind.SECRET] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        'os.write(output, b"P" + (1 << 60).to_bytes(8, "little"))',
        'os.write(output, b"P" + (64).to_bytes(8, "little") + b"\\xff" * 64)',
        'os.write(output, b"P" + (28).to_bytes(8, "little") + (1 << 19).to_bytes(4, "little") + bytes(24))',
        'os.write(output, b"Z" + bytes(8))',
        'os.write(output, b"X" + (7).to_bytes(8, "little") + b"[1, 2]]")',
        'os.write(output, b"R" + bytes(8)); os.write(output, b"R")',
        'os.write(output, b"P")',
        "os.abort()",
        "held = [bytearray(1 << 28) for _ in range(100)]",
    ],
    ids=["huge", "noise", "no_rows", "unknown", "no_words", "rules", "cut", "abort", "memory"],
)
def test_an_answer_that_makes_no_sense_ends_the_work_and_leaves_nothing(tmp_path, answer):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "compiled.vscdb").touch()  # so that asking for them costs nothing

    with pytest.raises(Unavailable) as caught:
        add(tmp_path, taken_over(tmp_path, answer, closed="/", port=1))

    assert caught.value.hint
    assert [*(tmp_path / "work").iterdir()] == []


def test_a_reader_that_says_nothing_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(member, "SILENT_SECONDS", 0.5)

    with pytest.raises(Unavailable, match="said nothing"):
        add(tmp_path, taken_over(tmp_path, "time.sleep(600)", closed="/", port=1))


def honest():
    """The body of the frame of a piece with three rows, one of them redacted."""
    reading = Reading(ReadAs())
    rows = [(n, {"prompt": f"write to a{n}@example.com", "completion": "yes"}) for n in range(1, 4)]
    examples = [(line, example, None) for line, example, _ in reading.examples(crew_format(), rows)]
    screened = Screener(Screening(key=b"k" * 32, said={"email": "mask"})).screen(examples)
    piece = Piece("prompt-completion", screened, rows=3, lines=3, done=10)
    return b"".join(frame_of(piece))[HEAD.size :]


def crew_format():
    from intramural.intake.formats import FORMATS  # noqa: PLC0415 - beside its only use

    return FORMATS["prompt-completion"]


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (b'{"messages":[{"role":"user"', b'{"massages":[{"role":"uSer"'),
        (b'"content":"yes"}]}\n', b'"content":"yes"}]}}'),
        (b'"content":"yes"}]}\n', b'"content":"y\x00s"}]}\n'),
        (b'"content":"yes"}]}\n', b'"content":"y\xffs"}]}\n'),
        (b'"content":"yes"}]}\n', b'"content":"y\ns"}]}\n'),
        (b'"rows":3', b'"rows":-'),
        (b'"rows":3', b'"rows":9'),
        (b'"format":"prompt-completion"', b'"format":"prompt-completiom"'),
        (b'"email":[3', b'"email":[0'),
        (b'"email":[3', b'"eMail":[3'),
        (b'"before":[0,1,2]', b'"before":[0,1,9]'),
        (b'"before":[0,1,2]', b'"before":[0,1,1]'),
        (b'"before":[0,1,2]', b'"before":{0,1,2]'),
        (b'"drops":[]', b'"drops":{}'),
    ],
)
def test_no_part_of_a_frame_is_taken_on_trust(what, instead):
    body = honest()
    assert piece_from(body).rows == 3
    assert what in body

    forged = body.replace(what, instead, 1)
    with contextlib.suppress(Unavailable):
        piece = piece_from(forged)
        assert instead == b'"rows":9', "a forged frame was believed"  # a number that only the file could belie
        assert piece.rows == 9


def test_every_flipped_byte_of_a_frame_gives_a_piece_of_examples_or_nothing():
    body = honest()
    for place in range(0, len(body), 3):
        forged = bytearray(body)
        forged[place] ^= 0x15
        with contextlib.suppress(Unavailable):
            for line in piece_from(bytes(forged)).screened.lines:
                assert not line or set(orjson.loads(line)) <= {"messages"} or len(orjson.loads(line)) == 1


def test_a_frame_is_bounded_before_it_is_read():
    assert MOST_BYTES < 1 << 28
    assert HEAD.pack(FrameKind.PIECE.value, MOST_BYTES)[0:1] == b"P"
    assert struct.calcsize(HEAD.format) == 9


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK, Level.NONE])
def test_a_file_is_read_the_same_at_every_level(tmp_path, level):
    found, work = add(tmp_path, real(level))

    assert found.train_examples + found.holdout_examples == len(ROWS)
    assert (work / "train.jsonl").stat().st_size > 0


def test_a_bomb_is_refused_from_within(tmp_path):
    pack = zlib.compressobj(1, zlib.DEFLATED, 31)
    member = pack.compress(b" " * (64 << 20)) + pack.flush()

    with pytest.raises(InvalidInput, match="grows more than 100 times"):
        add(tmp_path, real(Level.NAMESPACES), member * 18, "bomb.jsonl.gz")


def test_nested_brackets_do_not_take_the_reader_down(tmp_path):
    rows = LINES + "[" * 200_000 + "\n" + '{"prompt": ' + '{"a":' * 100_000 + "\n"

    found, _ = add(tmp_path, real(Level.NAMESPACES), rows, skip_bad=True)

    assert (found.fault_count, found.rows_read) == (2, len(ROWS) + 2)


@pytest.mark.parametrize("workers", [3])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_however_many_read_it_comes_to_the_same(tmp_path, name, workers):
    rows = [(f"question {n % 5000}, mail u{n}@example.com " + "é" * (n % 50), f"answer {n}") for n in range(6_000)]
    if name == "rows.csv":
        content = "prompt,completion\n" + "".join(f'"{one}","{other}"\n' for one, other in rows) + "only one\n"
    else:
        content = "".join(json.dumps({"prompt": one, "completion": other}) + "\n\n" for one, other in rows) + "{\n"
    given = {"skip_bad": True, "on": {FindingKind.EMAIL: Treatment.PSEUDONYMISE}}

    alone, work = add(tmp_path, None, content, name, **given)
    first = [(work / side).read_bytes() for side in ("train.jsonl", "holdout.jsonl", "index")]
    shared, _ = add(tmp_path, real(Level.NONE), content, name, workers=workers, **given)

    assert shared == alone
    assert [(work / side).read_bytes() for side in ("train.jsonl", "holdout.jsonl", "index")] == first
    assert alone.fault_count == 1
    assert alone.faults[0].line == len(content.splitlines())


def test_names_of_files_are_no_paths_inside(tmp_path):
    (tmp_path / "a").mkdir()
    name = Path("a") / "..%2f..%2fetc%2fpasswd.jsonl"

    found, _ = add(tmp_path, real(Level.NAMESPACES), LINES, str(name))

    assert found.rows_read == len(ROWS)


SAMPLE = [{"text": f"write to u{n}@example.com", "spans": [{"kind": "email", "start": 9, "end": 20}]} for n in range(12_000)]


def score(tmp_path, start, rows=SAMPLE, workers=1):
    file = tmp_path / "sample.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    screening, heard = Screening(cache_folder=tmp_path / "rules"), []
    if start is None:
        return score_sample(one_file(file), screening, lambda *each: heard.append(each)), heard
    with Team(start, rules=tmp_path / "rules", size=workers) as team:
        return score_sample(one_file(file), screening, lambda *each: heard.append(each), team), heard


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_labelled_sample_is_read_within_walls_and_scored_the_same(tmp_path, level):
    alone, _ = score(tmp_path, None)

    shared, heard = score(tmp_path, real(level), workers=2)

    assert shared == alone
    assert [(each.kind, each.recall, each.precision) for each in shared.scores] == [(FindingKind.EMAIL, 1.0, 1.0)]
    assert shared.documents == len(SAMPLE)
    assert len(heard) > 2
    assert heard == sorted(heard)


def test_what_took_over_the_reader_of_a_sample_reaches_nothing(tmp_path, world):
    (tmp_path / "secret").mkdir()

    with pytest.raises(InvalidInput) as caught:
        score(tmp_path, taken_over(tmp_path, TELL, closed=str(tmp_path / "secret"), port=world["tcp"]))

    assert json.loads(caught.value.message) == {"home": False, "network": False, "system": False, "writes": False}


def test_a_wrong_label_is_named_from_within(tmp_path):
    with pytest.raises(InvalidInput, match=r"sample\.jsonl, line 2: a span is"):
        score(tmp_path, real(Level.NAMESPACES), [*SAMPLE[:1], {"text": "zebra", "spans": [{"kind": "email"}]}])


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (b'"documents":2', b'"documents":-2'),
        (b'"documents":2', b'"documents":"2"'),
        (b'"email":2', b'"email":2.5'),
        (b'"email":2', b'"zebra":2'),
        (b'"labelled":{', b'"labeled":{'),
        (b'"PERSON":1', b'"a row of mine":1'),
        (b'"PERSON":1', b'"PERSON":true'),
        (b'"unknown":{', b'"unknown":7,"more":{'),
        (b'"counts":{', b'"counts":[{'),
    ],
)
def test_no_count_of_a_sample_is_taken_on_trust(what, instead):
    spans = [*SAMPLE[0]["spans"], {"kind": "PERSON", "start": 0, "end": 1}]
    rows = [(1, {**SAMPLE[0], "spans": spans}), (2, SAMPLE[1])]
    body = b"".join(frame_of_compared(compare("sample", rows, Screener(Screening()))))[HEAD.size :]
    assert compared_from(body).documents == 2
    assert what in body

    with pytest.raises(Unavailable):
        compared_from(body.replace(what, instead, 1))
