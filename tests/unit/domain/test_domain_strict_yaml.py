"""Every kind of mistake in a file people write is named by line and nearest key, and no value is ever quoted."""

import pytest

from intramural.domain.spec import JobSpec
from intramural.domain.strict_yaml import read
from intramural.errors import InvalidInput

GOOD = "name: router\nbase: tiny\ndata: tickets\n"


def message(text, *overrides):
    with pytest.raises(InvalidInput) as caught:
        read(text, JobSpec, overrides=overrides, where="tune.yaml")
    assert caught.value.hint
    return caught.value.message


def test_a_whole_file_is_read():
    text = (
        GOOD + "class: dev\ntrain:\n  steps: 50\n  learning_rate: 1e-4\nmethod:\n  lora: {rank: 8, targets: [q_proj, v_proj]}\n"
    )

    spec = read(text, JobSpec)

    assert (spec.job_class, spec.train.steps, spec.train.learning_rate) == ("dev", 50, 1e-4)
    assert spec.method.lora.targets == ("q_proj", "v_proj")
    assert spec.train.sequence_length == "auto"


def test_comments_documents_of_json_and_the_start_mark_are_read():
    assert read("---\n# a job\n" + GOOD, JobSpec).name == "router"
    assert read('{"name": "router", "base": "tiny", "data": "tickets"}', JobSpec).name == "router"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD + "train:\n  stepz: 5\n", "tune.yaml, line 5: unknown key `train.stepz`; did you mean `steps`?"),
        (GOOD + "train:\n  learning-rate: 1\n", "line 5: unknown key `train.learning-rate`; did you mean `learning_rate`?"),
        (GOOD + "steps: 5\n", "line 4: unknown key `steps`; did you mean `train.steps`?"),
        (
            GOOD + "method: {lora: {zzz: 1}}\n",
            "line 4: unknown key `method.lora.zzz`; known keys: alpha, dropout, rank, targets.",
        ),
        ("name: a\nbase: b\n", "tune.yaml: `data`: it is required."),
        (
            GOOD + "train:\n  sequence_length: 4\n",
            "line 5: `train.sequence_length`: Input should be greater than or equal to 8",
        ),
        (GOOD + "class: fast\n", "line 4: `class`: Input should be 'dev', 'training' or 'batch'."),
        (GOOD + "train:\n  epochs: 1\n  steps: 1\n", "line 4: `train`: give train.epochs or train.steps, not both."),
        (
            GOOD + "evaluate:\n  suites:\n  - loss\n  - vibes\n",
            "line 7: `evaluate.suites.1`: Input should be 'loss', 'structured' or 'memorisation'.",
        ),
        ("base: tiny\ndata: t\nname: Big Name\n", "line 3: `name`: write lower-case letters, digits"),
        (GOOD + "train:\n", "line 4: `train`: Input should be an object."),
        (GOOD + "train:\n  steps: true\n", "line 5: `train.steps`: Input should be a valid integer."),
        (GOOD + "train:\n  steps: '5'\n", "line 5: `train.steps`: Input should be a valid integer."),
        (GOOD + "name: again\n", "line 4: the key `name` is given twice."),
        (GOOD + "train: [1, 2", "line 4: expected ',' or ']', but got '<stream end>'."),
        (GOOD + "train:\n\tsteps: 3\n", "line 5: found character"),
        (GOOD + "train: &t {steps: 1}\n", "line 4: anchors and aliases are not read."),
        (GOOD + "train: *t\n", "line 4: anchors and aliases are not read."),
        (GOOD + "train: !!python/name:os.system\n", "line 4: tags are not read."),
        ("? [a, b]\n: c\n", "line 1: a key is a word"),
        ("- a\n- b\n", "tune.yaml must be a mapping of keys to values."),
        ("name: a\0\n", "line 1: a character that no text holds."),
        ("a: " + "[" * 2_000, "tune.yaml is nested too deeply."),
        (GOOD + "---\nname: two\n", "tune.yaml, line 4: but found another document."),
    ],
)
def test_a_mistake_is_named_by_place_and_nearest_key(text, expected):
    assert expected in message(text)


def test_every_mistake_is_named_at_once():
    text = "nam: a\nbase: tiny\ntrain:\n  steps: none\n"

    lines = message(text).splitlines()

    assert [each.partition(": ")[0] for each in lines] == ["tune.yaml", "tune.yaml", "tune.yaml, line 4", "tune.yaml, line 1"]
    assert "did you mean `name`?" in lines[-1]


VALUE = "s3cr3t-value"


@pytest.mark.parametrize(
    "line",
    [
        "train: {steps: s3cr3t-value}",
        "class: s3cr3t-value",
        "train: s3cr3t-value",
        "method: {lora: {targets: s3cr3t-value}}",
        "train: *s3cr3t-value",
        "train: !s3cr3t-value x",
        "train: 's3cr3t-value",
        'train: "\\qs3cr3t-value"',
        "train: @s3cr3t-value",
        "train: s3cr3t-value: x",
        "classification: {s3cr3t-value",
        "%TAG s3cr3t-value",
    ],
)
def test_no_value_is_quoted(line):
    assert VALUE not in message(GOOD + line + "\n")


@pytest.mark.parametrize(
    "override", ["s3cr3t-value", "train=s3cr3t-value", "train.steps=[s3cr3t-value", "train..steps=1", "=1"]
)
def test_no_value_of_an_override_is_quoted(override):
    assert VALUE not in message(GOOD, override)


@pytest.mark.parametrize("text", ["2026-11-01", "no", "on", "1:30:00", "0b11", "tickets@2", ".5.5", "1_000", "007x"])
def test_what_is_no_plain_number_or_truth_stays_text(text):
    assert read(f"name: router\nbase: tiny\ndata: {text}\n", JobSpec).data == text


def test_overrides_win_and_make_the_keys_they_need():
    spec = read(
        GOOD + "train:\n  steps: 5\nmethod:\n",
        JobSpec,
        overrides=(
            "train.steps=7",
            "method.lora.rank=4",
            "class=dev",
            "evaluate.suites=[loss]",
            "resources.time_limit_minutes=1.5",
        ),
    )

    assert (spec.train.steps, spec.method.lora.rank, spec.job_class) == (7, 4, "dev")
    assert (spec.evaluate.suites, spec.resources.time_limit_minutes) == (("loss",), 1.5)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.stepz=3", "--set train.stepz: unknown key `train.stepz`; did you mean `steps`?"),
        ("train.steps=many", "--set train.steps: `train.steps`: Input should be a valid integer."),
        ("base.x=1", "--set base.x: `base` holds a value, not keys."),
        ("train.steps=[1", "--set train.steps, line 1: expected"),
        ("train={steps: 0}", "--set train, line 1: `train.steps`: Input should be greater than or equal to 1."),
    ],
)
def test_a_mistake_in_an_override_is_named_by_the_override(override, expected):
    assert expected in message(GOOD + "train:\n  steps: 5\n", override)
