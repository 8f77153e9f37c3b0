"""
Why a run failed: one taxonomy for our own runs and for imported records.

`Cause` names the cause, `REMEDY` the next step a person can take, `is_lost`
tells which causes are the machine's and may be tried again without asking.
"""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.value import Value


class Cause(StrEnum):
    """The one cause of a failed run."""

    GPU_MEMORY = "gpu_out_of_memory"
    HOST_MEMORY = "host_out_of_memory"
    DISK_FULL = "disk_full"
    DATA_ERROR = "data_error"
    USER_CODE = "user_code_error"
    DIVERGED = "diverged"
    NETWORK = "network"
    NODE_FAILURE = "node_failure"
    GPU_FAULT = "gpu_fault"
    PREEMPTED = "preempted"
    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    KILLED = "killed"
    DRIFT = "environment_drift"
    INTEGRITY = "integrity"
    REFUSED = "refused"
    """By the policy, when its turn came."""
    UNKNOWN = "unknown"


REMEDY: dict[Cause, str] = {
    Cause.GPU_MEMORY: "Lower train.pass_tokens or train.sequence_length, or choose a GPU with more memory.",
    Cause.HOST_MEMORY: "Lower train.pass_tokens (memory grows with it) or free memory, then `intramural resume`.",
    Cause.DISK_FULL: "Free disk space under INTRAMURAL_HOME or lower checkpoint.keep, then `intramural resume`.",
    Cause.DATA_ERROR: "Look at the named rows with `intramural data show`, mend the file and add it as a new version.",
    Cause.USER_CODE: "Read `intramural logs` for the error's place; if it is ours, `intramural why --json` is what to report.",
    Cause.DIVERGED: "Lower train.learning_rate, raise train.warmup, or look for broken rows; then run again.",
    Cause.NETWORK: "Check the links between the nodes, then `intramural resume`.",
    Cause.NODE_FAILURE: "The machine went away; `intramural resume` continues from the newest verified checkpoint.",
    Cause.GPU_FAULT: "Take the GPU out of service and check it, then `intramural resume`.",
    Cause.PREEMPTED: "Nothing to do: it continues from its checkpoint when there is room.",
    Cause.TIME_LIMIT: "Raise resources.time_limit_minutes, or train fewer steps; `intramural resume` continues it.",
    Cause.CANCELLED: "It was cancelled on request; `intramural resume` continues it.",
    Cause.KILLED: "Something killed the process (kill -9, or the kernel for want of memory); `intramural resume` continues it.",
    Cause.DRIFT: "Restore the environment the checkpoint was written in, or `intramural resume --accept-drift`.",
    Cause.INTEGRITY: "Stored bytes changed: remove and add the model, or add the data's file again; then `intramural resume`.",
    Cause.REFUSED: "Make the change that the evidence ends with, then `intramural resume`.",
    Cause.UNKNOWN: "Read `intramural logs`; if nothing explains it, `intramural why --json` is what to report.",
}

_LOST = frozenset({Cause.KILLED, Cause.NODE_FAILURE, Cause.PREEMPTED, Cause.NETWORK, Cause.GPU_FAULT})


def is_lost(cause: Cause) -> bool:
    """Tell whether the machine, not the work, ended the run: such a run is tried again from its checkpoint."""
    return cause in _LOST


class Failure(Value):
    """A cause with its evidence; the evidence never quotes training data."""

    cause: Cause
    evidence: str
    """The exit code, signal or error class and its place."""
    next_step: str | None = None
    """What would mend it, where the run knows better than its cause does; it quotes no training data."""

    @property
    def remedy(self) -> str:
        """The next step that would mend it."""
        return self.next_step or REMEDY[self.cause]
