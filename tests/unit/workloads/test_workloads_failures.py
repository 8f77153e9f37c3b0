"""From exceptions to causes; messages that may quote a row stay inside."""

import errno
import os

import pytest
import torch
from safetensors import SafetensorError

from intramural.domain.cause import Cause
from intramural.errors import DoesNotFit, DriftDetected, IntegrityFailure, InvalidInput
from intramural.workloads.failures import failure_of, log_place
from intramural.workloads.trainer import Diverged, TimeLimit

CANARY = "xylophone-7731"
NO_MEMORY = f"[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried {CANARY}"

FOREIGN = [
    (OSError(errno.ENOSPC, CANARY, f"/{CANARY}"), Cause.DISK_FULL),
    (OSError(errno.EDQUOT, CANARY), Cause.DISK_FULL),
    (OSError(errno.EFBIG, CANARY), Cause.DISK_FULL),
    (SafetensorError(f"Error while serializing {CANARY}: No space left on device (os error 28)"), Cause.DISK_FULL),
    (OSError(errno.ENOMEM, CANARY), Cause.HOST_MEMORY),
    (MemoryError(CANARY), Cause.HOST_MEMORY),
    (RuntimeError(NO_MEMORY), Cause.HOST_MEMORY),
    (torch.cuda.OutOfMemoryError(CANARY), Cause.GPU_MEMORY),
    (RuntimeError(f"CUDA out of memory. Tried {CANARY}"), Cause.GPU_MEMORY),
    (RuntimeError(f"NCCL watchdog timeout {CANARY}"), Cause.NETWORK),
    (RuntimeError(f"CUDA error: uncorrectable ECC error encountered {CANARY}"), Cause.GPU_FAULT),
    (RuntimeError(f"No such file or directory {CANARY}"), Cause.USER_CODE),
    (OSError(errno.EACCES, CANARY), Cause.USER_CODE),
    (ValueError(CANARY), Cause.USER_CODE),
    (KeyboardInterrupt(CANARY), Cause.USER_CODE),
]
OURS = [
    (Diverged("step 3: loss nan"), Cause.DIVERGED),
    (TimeLimit("over"), Cause.TIME_LIMIT),
    (DriftDetected("threads: 2 → 4"), Cause.DRIFT),
    (IntegrityFailure("weights changed"), Cause.INTEGRITY),
    (DoesNotFit("too small"), Cause.HOST_MEMORY),
    (InvalidInput("no answer"), Cause.DATA_ERROR),
]


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(("error", "cause"), FOREIGN)
def test_a_foreign_error_tells_its_class_or_number_and_its_place(error, cause, capsys):
    failure = failure_of(raised(error))
    log_place(raised(error))

    printed = capsys.readouterr()
    assert failure.cause is cause
    assert "test_workloads_failures.py" in failure.evidence
    assert type(error).__name__ in failure.evidence or os.strerror(getattr(error, "errno", 0) or 0) in failure.evidence
    assert CANARY not in failure.evidence + printed.out + printed.err
    assert type(error).__name__ in printed.err
    assert "test_workloads_failures.py" in printed.err


@pytest.mark.parametrize(("error", "cause"), OURS)
def test_an_error_of_our_own_speaks_for_itself(error, cause):
    failure = failure_of(raised(error))

    assert (failure.cause, failure.evidence) == (cause, str(error))
    assert failure.remedy


def test_an_error_that_was_caused_by_another_quotes_neither(capsys):
    error = RuntimeError(CANARY)
    error.__cause__ = raised(ValueError(CANARY))

    evidence = failure_of(raised(error)).evidence
    log_place(error)

    assert CANARY not in evidence + capsys.readouterr().err
