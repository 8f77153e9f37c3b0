"""
How a cause is told from what is on record: one list of rules for our own runs and for imported records.

A rule names its cause, the conditions it needs, and itself: the name is the evidence that is
shown, so that what it matched (a line of a log) never is. The first rule whose conditions all
hold decides. Patterns are regular expressions without regard to case, in the common subset of
Python's and Rust's syntax.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import StringConstraints, field_validator, model_validator

from intramural.domain.cause import Cause
from intramural.domain.value import Value

ExitCodes = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}-[0-9]{1,3}$")]
"""A range of exit codes, both ends included: `1-127`."""


class CauseRule(Value):
    """One line of reasoning from a record to a cause."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\n|]{1,60}$")]
    """Shown as evidence; for a pattern, what it stands for."""
    cause: Cause
    states: tuple[str, ...] = ()
    """States of the normal form: `failed`, `out_of_memory`, …"""
    exit_codes: tuple[int | ExitCodes, ...] = ()
    signals: tuple[int, ...] = ()
    reason: tuple[str, ...] = ()
    """Patterns of the reason on record or of a log line."""

    @model_validator(mode="after")
    def _has_conditions(self) -> Self:
        if not (self.states or self.exit_codes or self.signals or self.reason):
            raise ValueError("a rule needs `states`, `exit_codes`, `signals` or `reason`")
        for number, pattern in enumerate(self.reason, 1):
            try:
                re.compile(pattern)
            except re.error:
                raise ValueError(f"pattern {number} of `reason` is no regular expression") from None
        return self

    @property
    def pattern(self) -> str:
        """All patterns of the reason in one."""
        return "(?i)" + "|".join(f"(?:{each})" for each in self.reason)

    @property
    def exit_ranges(self) -> tuple[tuple[int, int], ...]:
        """The exit codes as ranges, both ends included."""
        pairs = [each.split("-") if isinstance(each, str) else (each, each) for each in self.exit_codes]
        return tuple((int(first), int(last)) for first, last in pairs)

    def explains(self, *, state: str, exit_code: int | None, signal: int | None, reason: str | None) -> bool:
        """Tell whether every condition holds."""
        return (
            (not self.states or state in self.states)
            and (not self.exit_codes or any(a <= exit_code <= b for a, b in self.exit_ranges if exit_code is not None))
            and (not self.signals or signal in self.signals)
            and (not self.reason or (reason is not None and re.search(self.pattern, reason) is not None))
        )

    def evidence(self, *, state: str, exit_code: int | None, signal: int | None) -> str:
        """Say what it was told from, without quoting a reason."""
        if self.reason:
            return self.name
        if self.signals and signal:
            return f"signal {signal}"
        if self.exit_codes and exit_code is not None:
            return f"exit code {exit_code}"
        return f"state {state.upper()}"


class CauseRules(Value):
    """A rule file: its rules come first, the built-in ones after them."""

    rules: tuple[CauseRule, ...]

    @field_validator("rules")
    @classmethod
    def _is_not_empty(cls, rules: tuple[CauseRule, ...]) -> tuple[CauseRule, ...]:
        if not rules:
            raise ValueError("write at least one rule")
        return rules


def _log(name: str, cause: Cause, *patterns: str) -> CauseRule:
    return CauseRule(name=name, cause=cause, reason=patterns)


LOG_LINES: tuple[CauseRule, ...] = (
    _log(
        "CUDA out of memory",
        Cause.GPU_MEMORY,
        "(CUDA|HIP|GPU) out of memory",
        "CUDA_ERROR_OUT_OF_MEMORY",
        "cudaErrorMemoryAllocation",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "OutOfMemoryError: CUDA",
        "No available memory for the cache blocks",
    ),
    _log(
        "no space left on device",
        Cause.DISK_FULL,
        "No space left on device",
        "Disk quota exceeded",
        r"\bENOSPC\b",
        "DiskPressure",
        "Evicted.*ephemeral",
        "ephemeral local storage usage exceeds",
    ),
    _log(
        "Xid, ECC or NVLink error",
        Cause.GPU_FAULT,
        r"\bXid\b",
        "uncorrectable.{0,20}ECC",
        r"\bECC (error|uncorrectable)",
        "CUDA_ERROR_ECC_UNCORRECTABLE",
        "fallen off the bus",
        "NVLink error",
        "GPU is lost",
        "Unable to determine the device handle for GPU",
        "CUDA error: (unknown error|hardware stack error)",
    ),
    _log(
        "NCCL error or timeout",
        Cause.NETWORK,
        "NCCL.{0,80}(time.?out|timed out|error|abort|watchdog)",
        "Watchdog caught collective operation timeout",
        "nccl(System|Remote|Internal|UnhandledCuda)Error",
        r"\bIBV_WC_",
        "ibv_(poll|modify|reg)",
    ),
    _log(
        "killed for want of host memory",
        Cause.HOST_MEMORY,
        "oom.?kill",
        "Out of memory: Killed process",
        r"Detected \d+ oom",
        "(can.?t|cannot) allocate memory",
        "DefaultCPUAllocator",
        "MemoryPressure",
        "Evicted.*memory",
        r"\bMemoryError\b",
        r"DataLoader worker.{0,40}killed by signal: Killed",
    ),
    _log(
        "connection lost",
        Cause.NETWORK,
        "Connection (refused|reset|timed out|aborted|closed)",
        "No route to host",
        "Network is unreachable",
        "socket time.?out",
        "Temporary failure in name resolution",
        "Stale file handle",
    ),
    _log(
        "node lost",
        Cause.NODE_FAILURE,
        "NodeLost",
        "NodeShutdown",
        "NodeNotReady",
        "TaintManager",
        "TerminationByKubelet",
        r"NODE.?FAIL",
        "node is (lost|down|not responding)",
    ),
    _log("preempted", Cause.PREEMPTED, "preempt", "spot (instance )?(interruption|reclaim)"),
    _log("time limit", Cause.TIME_LIMIT, "DeadlineExceeded", "DUE TO TIME LIMIT"),
    _log(
        "the loss is not a number",
        Cause.DIVERGED,
        r"loss (is|was|became) (nan|inf)",
        "NaN or Inf (found|in)",
        "FloatingPointError",
    ),
    _log(
        "unreadable or missing data",
        Cause.DATA_ERROR,
        "JSONDecodeError",
        "UnicodeDecodeError",
        "DatasetGenerationError",
        "DataFilesNotFoundError",
        "ArrowInvalid",
        "ParserError",
        "FileNotFoundError",
        "No such file or directory",
        "corrupt(ed)? (file|record|shard|archive)",
    ),
    _log(
        "error in the code",
        Cause.USER_CODE,
        "Traceback .most recent call last",
        r"\b(Syntax|Import|ModuleNotFound|Attribute|Type|Name|Key|Index|Value|Assertion|NotImplemented|Runtime)Error\b",
        "command not found",
        "unrecognized arguments",
        "Segmentation fault",
        "core dumped",
        "illegal memory access",
        "device-side assert",
        "ContainerCannotRun",
        "(ErrImagePull|ImagePullBackOff|InvalidImageName|CreateContainerConfigError)",
    ),
)
"""What the last lines of a log, or a scheduler's reason, say by themselves."""

DEFAULT_RULES: tuple[CauseRule, ...] = (
    *LOG_LINES,
    CauseRule(name="out of memory", cause=Cause.HOST_MEMORY, states=("out_of_memory",)),
    CauseRule(name="time limit", cause=Cause.TIME_LIMIT, states=("time_limit",)),
    CauseRule(name="preempted", cause=Cause.PREEMPTED, states=("preempted",)),
    CauseRule(name="node failure", cause=Cause.NODE_FAILURE, states=("node_failure",)),
    CauseRule(name="cancelled", cause=Cause.CANCELLED, states=("cancelled",)),
    CauseRule(name="crashed", cause=Cause.USER_CODE, signals=(4, 8, 11)),
    CauseRule(name="killed", cause=Cause.KILLED, signals=(2, 9, 15)),
    CauseRule(name="crashed", cause=Cause.USER_CODE, exit_codes=(132, 136, 139)),
    CauseRule(name="killed", cause=Cause.KILLED, exit_codes=(130, 137, 143)),
    CauseRule(name="ended with an error", cause=Cause.USER_CODE, states=("failed",), exit_codes=("1-127",)),
)
"""In their order: a line that says it, the scheduler's own word, then signals and exit codes."""


def cause_of_text(text: str) -> CauseRule | None:
    """Return the rule of the first pattern that a line of a log, or an error's message, matches."""
    return next((rule for rule in LOG_LINES if re.search(rule.pattern, text)), None)
