"""What the end of a run means, from what little is left of it."""

import errno
import os

import pytest

from intramural.domain.cause import Cause, Failure
from intramural.domain.job import Outcome
from intramural.domain.workload import OutcomeEvent
from intramural.errors import DoesNotFit, IntegrityFailure, Unavailable
from intramural.scheduler.ending import by_error, classify, not_started, over_time
from intramural.scheduler.executor import Phase, Status

PRIVATE = "Mr. Meier's account DE12 3456"


def ended(**how):
    return Status(phase=Phase.ENDED, **how)


def told(outcome, failure=None):
    return OutcomeEvent(at=1.0, outcome=outcome, failure=failure)


def test_what_the_run_told_comes_first():
    own = Failure(cause=Cause.DIVERGED, evidence="loss at step 7")

    assert classify(ended(signal=9), told(Outcome.SUCCEEDED), "MemoryError") == (Outcome.SUCCEEDED, None)
    assert classify(ended(exit_code=1), told(Outcome.FAILED, own), "MemoryError") == (Outcome.FAILED, own)
    assert classify(ended(exit_code=3), told(Outcome.STOPPED), "") == (Outcome.STOPPED, None)


@pytest.mark.parametrize("status", [ended(signal=15), ended(exit_code=3)])
def test_a_run_that_was_asked_to_stop_before_it_could_answer_stopped(status):
    assert classify(status, None, "") == (Outcome.STOPPED, None)


@pytest.mark.parametrize(
    ("status", "cause", "evidence"),
    [
        (ended(signal=9), Cause.KILLED, "signal 9 (SIGKILL)"),
        (ended(), Cause.KILLED, "the process was gone and nothing recorded its end"),
        (
            ended(signal=9, out_of_memory=True),
            Cause.HOST_MEMORY,
            "signal 9 (SIGKILL); the kernel counted a kill for want of memory",
        ),
        (ended(signal=11), Cause.USER_CODE, "signal 11 (SIGSEGV)"),
        (ended(signal=40), Cause.USER_CODE, "signal 40"),
        (ended(exit_code=0), Cause.UNKNOWN, "exit code 0 without an outcome; its log names no error"),
        (ended(exit_code=7), Cause.UNKNOWN, "exit code 7; its log names no error"),
    ],
)
def test_without_a_word_the_process_tells(status, cause, evidence):
    assert classify(status, None, "") == (Outcome.FAILED, Failure(cause=cause, evidence=evidence))


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("OSError: [Errno 28] No space left on device", Cause.DISK_FULL),
        ("OSError: [Errno 122] Disk quota exceeded", Cause.DISK_FULL),
        ("MemoryError", Cause.HOST_MEMORY),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory", Cause.HOST_MEMORY),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", Cause.GPU_MEMORY),
        ("torch.cuda.OutOfMemoryError", Cause.GPU_MEMORY),
        ("RuntimeError: CUDA error: an illegal memory access was encountered", Cause.GPU_FAULT),
        ("RuntimeError: NCCL error in ProcessGroupNCCL.cpp", Cause.NETWORK),
        ("torch.distributed.DistBackendError: peer gone", Cause.NETWORK),
        ("ValueError: something of the user", Cause.USER_CODE),
    ],
)
def test_known_lines_of_a_log_name_the_cause(line, cause):
    outcome, failure = classify(ended(exit_code=1), None, f"step 1\n{line}\n")

    assert (outcome, failure.cause) == (Outcome.FAILED, cause)


def test_evidence_names_class_and_place_and_quotes_nothing():
    log = (
        f"{PRIVATE}\nTraceback (most recent call last):\n"
        f'  File "/home/meier/train.py", line 41, in collate\n    raise ValueError("{PRIVATE}")\n'
        f"ValueError: {PRIVATE}\n"
    )

    _, failure = classify(ended(exit_code=1), None, log)

    assert failure.evidence == "exit code 1; ValueError at train.py:41 in collate"


def test_errors_of_ours_become_causes_without_their_foreign_words():
    def failure_of(error):
        try:
            raise error
        except Exception as caught:
            return by_error(caught, "staging")

    assert failure_of(IntegrityFailure("The model's bytes changed.")).cause is Cause.INTEGRITY
    assert failure_of(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))).cause is Cause.DISK_FULL
    assert failure_of(DoesNotFit("Too little disk.")).cause is Cause.DISK_FULL
    assert "The store is away." in failure_of(Unavailable("The store is away.")).evidence
    foreign = failure_of(ValueError(PRIVATE))
    assert foreign.cause is Cause.UNKNOWN
    assert "ValueError at test_scheduler_ending.py" in foreign.evidence
    assert PRIVATE not in foreign.evidence


def test_a_limit_and_a_start_that_failed_say_so():
    assert over_time(1.5) == Failure(cause=Cause.TIME_LIMIT, evidence="it ran longer than resources.time_limit_minutes: 1.5")
    assert not_started("no libraries").evidence.endswith("no libraries")
    assert not_started(None).cause is Cause.NODE_FAILURE
