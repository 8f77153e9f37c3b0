"""One taxonomy of causes: lines of logs, states, exit codes; the same for one failure and for a column of them."""

import polars as pl
import pytest

from intramural.domain.cause import Cause
from intramural.domain.cause_rules import DEFAULT_RULES, CauseRule, CauseRules, cause_of_text
from intramural.domain.strict_yaml import read
from intramural.errors import InvalidInput
from intramural.measurement.causes import rule_number, told_from
from intramural.measurement.records import SCHEMA

LINES = [
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB", Cause.GPU_MEMORY),
    ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch", Cause.HOST_MEMORY),
    ("OOMKilled", Cause.HOST_MEMORY),
    ("OSError: [Errno 28] No space left on device", Cause.DISK_FULL),
    ("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus", Cause.GPU_FAULT),
    ("CUDA error: uncorrectable ECC error encountered", Cause.GPU_FAULT),
    ("Watchdog caught collective operation timeout: WorkNCCL(SeqNum=12)", Cause.NETWORK),
    ("requests.exceptions.ConnectionError: Connection reset by peer", Cause.NETWORK),
    ("slurmstepd: *** JOB 9 ON n1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***", Cause.TIME_LIMIT),
    ("DeadlineExceeded", Cause.TIME_LIMIT),
    ("NodeLost", Cause.NODE_FAILURE),
    ("Preempted by scheduler", Cause.PREEMPTED),
    ("json.decoder.JSONDecodeError: Expecting value: line 7", Cause.DATA_ERROR),
    ("FileNotFoundError: [Errno 2] No such file or directory", Cause.DATA_ERROR),
    ("KeyError: 'labels'", Cause.USER_CODE),
    ("ImagePullBackOff", Cause.USER_CODE),
]
ENDS = [
    ("out_of_memory", 0, 9, Cause.HOST_MEMORY, "state OUT_OF_MEMORY"),
    ("time_limit", 0, 0, Cause.TIME_LIMIT, "state TIME_LIMIT"),
    ("node_failure", 1, 0, Cause.NODE_FAILURE, "state NODE_FAILURE"),
    ("preempted", 0, 15, Cause.PREEMPTED, "state PREEMPTED"),
    ("failed", 0, 9, Cause.KILLED, "signal 9"),
    ("failed", 137, None, Cause.KILLED, "exit code 137"),
    ("failed", 139, 0, Cause.USER_CODE, "exit code 139"),
    ("failed", 1, 0, Cause.USER_CODE, "exit code 1"),
    ("failed", 0, 0, Cause.UNKNOWN, "state FAILED"),
    ("failed", None, None, Cause.UNKNOWN, "state FAILED"),
    ("failed", 255, None, Cause.UNKNOWN, "exit code 255"),
]


def told(**row):
    """The cause and the evidence of one row, through the expression for a column of them."""
    frame = pl.DataFrame([{"state": "failed", **row}], schema=SCHEMA).with_columns(rule_number(DEFAULT_RULES).alias("rule"))
    return told_from(DEFAULT_RULES, frame.row(0, named=True))


@pytest.mark.parametrize(("line", "cause"), LINES)
def test_a_line_of_a_log_tells_the_cause_and_is_not_quoted(line, cause):
    found, evidence = told(reason=line, exit_code=1)

    assert (found, cause_of_text(line).cause) == (cause, cause)
    assert evidence == cause_of_text(line).name
    assert evidence != line


@pytest.mark.parametrize(("state", "exit_code", "signal", "cause", "evidence"), ENDS)
def test_a_state_a_signal_or_an_exit_code_tells_it_where_no_line_does(state, exit_code, signal, cause, evidence):
    assert told(state=state, exit_code=exit_code, signal=signal) == (cause, evidence)


def test_a_column_and_a_single_row_are_judged_by_the_same_rules():
    rows = [{"state": state, "exit_code": code, "signal": signal, "reason": None} for state, code, signal, *_ in ENDS]
    rows += [{"state": "failed", "exit_code": 1, "signal": None, "reason": line} for line, _ in LINES]

    numbers = pl.DataFrame(rows, schema=SCHEMA).select(rule_number(DEFAULT_RULES)).to_series().to_list()

    assert numbers == [next((n for n, rule in enumerate(DEFAULT_RULES) if rule.explains(**row)), None) for row in rows]


def test_a_cause_that_the_source_knows_is_believed():
    assert told(cause="diverged", exit_code=137)[0] is Cause.DIVERGED


def test_records_can_tell_every_cause_of_a_cluster():
    ours_only = {Cause.DRIFT, Cause.INTEGRITY, Cause.UNKNOWN}
    told_by_rules = {rule.cause for rule in DEFAULT_RULES}

    assert len(told_by_rules) >= 12
    assert not told_by_rules & ours_only


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{name: a, cause: user_code_error}]", "a rule needs"),
        ("rules: [{name: a, cause: user_code_error, reason: ['(']}]", "pattern 1 of `reason`"),
        ("rules: [{name: a, cause: gpu, states: [failed]}]", "cause"),
        ("rules: [{name: a, cause: killed, exit_code: [1]}]", "did you mean `exit_codes`"),
        ("rules: [{name: a, cause: killed, exit_codes: [1-x]}]", "exit_codes"),
    ],
)
def test_a_mistake_in_a_file_of_causes_is_named_with_its_line(text, message):
    with pytest.raises(InvalidInput, match=rf"(?s)causes\.yaml, line \d.*{message}"):
        read(text, CauseRules, where="causes.yaml")


def test_all_conditions_of_a_rule_must_hold():
    rule = CauseRule(name="a", cause=Cause.NETWORK, states=("failed",), exit_codes=("10-12",), reason=("ib0",))

    assert rule.explains(state="failed", exit_code=11, signal=None, reason="IB0 down")
    assert not rule.explains(state="failed", exit_code=11, signal=None, reason=None)
    assert not rule.explains(state="failed", exit_code=13, signal=None, reason="ib0")
    assert not rule.explains(state="cancelled", exit_code=11, signal=None, reason="ib0")
