"""What the events of a job add up to, and how it is shown off a terminal."""

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from intramural.cli.progress import Bars, QuietLines
from intramural.cli.tally import Tally, sparkline
from intramural.domain.workload import (
    CheckpointEvent,
    NoticeEvent,
    OutcomeEvent,
    PhaseEvent,
    ProgressEvent,
    ResolvedEvent,
    ResumeEvent,
    StepEvent,
)


def a_step(step, *, loss=1.0, tokens=500, seconds=2.0, total=100):
    return StepEvent(
        at=0, step=step, total_steps=total, loss=loss, grad_norm=1, learning_rate=1e-4, tokens=tokens, seconds=seconds,
        batch_digest="x", memory_bytes=2**30,
    )  # fmt: skip


def test_training_has_a_pace_and_a_time_left():
    tally = Tally()

    for n in range(1, 41):
        tally.add(a_step(n, loss=2.0 if n <= 20 else 1.0))

    assert (tally.done, tally.total, tally.loss) == (40, 100, 1.0)
    assert tally.tokens_per_second == 250
    assert tally.seconds_left == 120
    assert tally.line == "Training 40 of 100, loss 1.000, 250 tokens/s, about 2 min 00 s left"


def test_outside_of_training_no_time_is_promised():
    tally = Tally()
    tally.add(a_step(1))

    tally.add(PhaseEvent(at=0, phase="evaluate_after"))
    tally.add(ProgressEvent(at=0, phase="evaluate_after", done=3, total=160))

    assert tally.seconds_left is None
    assert tally.line == "Evaluating the tuned model 3 of 160"


def test_a_resume_takes_back_the_steps_after_its_checkpoint():
    tally = Tally()
    for n in range(1, 11):
        tally.add(a_step(n, loss=float(n)))

    line = tally.add(ResumeEvent(at=0, step=6, skipped=("step-8: cut",)))
    tally.add(a_step(7, loss=7.0))

    assert tally.losses == [1, 2, 3, 4, 5, 6, 7]
    assert line == "Resumed from the checkpoint at step 6 (1 newer ones did not verify)."


def test_an_outcome_ends_it_and_a_new_phase_begins_again():
    tally = Tally()

    tally.add(OutcomeEvent(at=0, outcome="stopped"))
    ended = tally.ended
    tally.add(PhaseEvent(at=0, phase="load"))

    assert (ended, tally.ended) == (True, False)


def test_a_sparkline_falls_with_its_values():
    line = sparkline([float(n) for n in range(100, 0, -1)], 8)

    assert line == "█▇▆▅▄▃▂▁"
    assert sparkline([1.0, 1.0], 8) == "▁▁"
    assert sparkline([], 8) == ""


def test_off_a_terminal_there_is_one_line_per_phase_and_none_per_step(capsys):
    quiet = QuietLines(every_seconds=3600)

    quiet.show(PhaseEvent(at=0, phase="train"))
    for n in range(1, 50):
        quiet.show(a_step(n))
    quiet.show(CheckpointEvent(at=0, step=49, size_bytes=1, blocked_seconds=0.0125, write_seconds=1))
    quiet.show(NoticeEvent(at=0, message="2 examples were cut."))

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["Training.", "Checkpoint at step 49; training waited 12 ms.", "2 examples were cut."]


def test_off_a_terminal_the_state_is_told_when_it_is_time(capsys):
    quiet = QuietLines(every_seconds=0)

    quiet.show(a_step(3))

    assert capsys.readouterr().err == "Training 3 of 100, loss 1.000, 250 tokens/s, about 3 min 14 s left\n"


def test_waiting_is_told_once(capsys):
    quiet = QuietLines()

    for _ in range(3):
        quiet.idle("Waiting for its turn.")

    assert capsys.readouterr().err == "Waiting for its turn.\n"


@pytest.mark.parametrize("events", [[], [OutcomeEvent(at=0, outcome="failed")]])
def test_bars_stand_for_phases(events):
    progress = Progress(TextColumn("{task.description}"), console=Console(quiet=True))
    bars = Bars(progress)

    bars.idle("Waiting")
    bars.show(PhaseEvent(at=0, phase="load"))
    bars.show(ResolvedEvent(at=0, settings={}, environment={}, total_steps=100, total_tokens=5000))
    bars.show(PhaseEvent(at=0, phase="train"))
    bars.show(a_step(100))
    for each in events:
        bars.show(each)
    bars.show(PhaseEvent(at=0, phase="done"))

    assert [(task.description, task.finished) for task in progress.tasks if task.visible] == [
        ("Loading the model", True),
        ("Training", True),
    ]
