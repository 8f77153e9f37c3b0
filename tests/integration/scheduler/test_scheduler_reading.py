"""Reading files that others write: the events of a run, and the kernel's counts of kills."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intramural.domain.workload import NoticeEvent
from intramural.scheduler import events
from intramural.scheduler.events import EventTail
from intramural.scheduler.executors.memory import WINDOW_SECONDS, KilledForMemory


def line(number):
    return json.dumps({"at": float(number), "type": "notice", "message": f"n{number}"}) + "\n"


def read(tail):
    first, found = tail.peek()
    tail.advance()
    return first, [event.message for event in found]


def test_a_file_that_is_not_there_yet_has_no_events(tmp_path):
    tail = EventTail(tmp_path / "events.jsonl")

    assert read(tail) == (1, [])
    assert tail.at_end


def test_what_was_not_stored_is_read_again(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(line(1) + line(2))
    tail = EventTail(path)

    assert tail.peek() == tail.peek()
    assert read(tail) == (1, ["n1", "n2"])
    path.write_text(line(1) + line(2) + line(3))
    assert read(tail) == (3, ["n3"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, 600), max_size=12))
def test_however_the_writing_is_cut_every_event_is_read_once_and_in_order(tmp_path, cuts):
    path = tmp_path / "events.jsonl"
    path.unlink(missing_ok=True)
    text = "".join(line(number) for number in range(1, 11)).encode()
    tail, seen = EventTail(path), []
    ends = [*sorted(min(cut, len(text)) for cut in cuts), len(text)]
    begin = 0
    for end in ends:
        with path.open("ab") as file:
            file.write(text[begin:end])
        begin = end
        first, found = read(tail)
        assert first == len(seen) + 1
        seen += found

    assert seen == [f"n{number}" for number in range(1, 11)]


def test_a_long_file_is_read_in_pieces_of_bounded_size(tmp_path):
    path = tmp_path / "events.jsonl"
    count = 3 * events.MOST_BYTES // len(line(1000))
    path.write_text("".join(line(1000 + number) for number in range(count)))
    tail, pieces = EventTail(path), []
    while not tail.at_end:
        pieces.append(read(tail))

    assert len(pieces) > 2
    assert sum(len(found) for _, found in pieces) == count
    assert [first for first, _ in pieces][1] == len(pieces[0][1]) + 1


def test_a_line_longer_than_any_event_does_not_fill_memory_or_stop_the_reading(tmp_path):
    path = tmp_path / "events.jsonl"
    with path.open("wb") as file:
        file.write(line(1).encode())
        file.truncate(events.LONGEST_LINE * 2 + 5)
        file.seek(0, 2)
        file.write(b"\n" + line(2).encode())
    tail, messages = EventTail(path), []
    while not tail.at_end:
        found = tail.peek()[1]
        tail.advance()
        messages += found

    assert messages[0].message == "n1"
    assert messages[-1].message == "n2"
    assert all(isinstance(each, NoticeEvent) and "is not an event" in each.message for each in messages[1:-1])


class Machine:
    """A root folder with the kernel's files, and a clock."""

    def __init__(self, root, cgroup, counter):
        self.root, self.seconds, self.counter = root, 0.0, root / counter
        (root / "proc" / "7").mkdir(parents=True)
        (root / "proc" / "7" / "cgroup").write_text(cgroup)
        (root / "proc" / "vmstat").write_text("nr_free_pages 12\noom_kill 3\n")
        self.counter.parent.mkdir(parents=True, exist_ok=True)
        self.kills(0)

    def kills(self, count):
        self.counter.write_text(f"low 0\noom 9\noom_kill {count}\n")


def test_a_kill_that_the_kernel_counted_is_found_in_each_kind_of_group(tmp_path):
    for name, cgroup, counter in (
        ("v2", "0::/jobs/a\n", "sys/fs/cgroup/jobs/a/memory.events"),
        ("v1", "9:name=systemd:/\n4:memory:/jobs/a\n", "sys/fs/cgroup/memory/jobs/a/memory.oom_control"),
        ("none", "", "proc/vmstat"),
    ):
        machine = Machine(tmp_path / name, cgroup, counter)
        killed = KilledForMemory(machine.root, clock=lambda machine=machine: machine.seconds)
        killed.watch("run_1", 7)
        killed.watch("run_2", 7)
        calm = killed.ended("run_2")
        machine.kills(4)

        assert not calm, name
        assert killed.ended("run_1"), name
        assert not killed.ended("run_1"), name


def test_a_kill_long_before_the_end_is_another_story(tmp_path):
    machine = Machine(tmp_path / "m", "0::/jobs/a\n", "sys/fs/cgroup/jobs/a/memory.events")
    killed = KilledForMemory(machine.root, clock=lambda: machine.seconds)
    killed.watch("run_1", 7)
    machine.kills(1)
    for _ in range(3):
        machine.seconds += WINDOW_SECONDS
        killed.watch("run_1", 7)

    assert not killed.ended("run_1")
