"""Job types from rules: the built-in ones, the language of patterns, and mistakes in a rule file."""

import polars as pl
import pytest

from intramural.domain.strict_yaml import read
from intramural.errors import InvalidInput
from intramural.measurement.job_types import JobTypeRules, check_labels, default_rules, shape

COLUMNS = ("name", "command", "tags", "job_class")


def types(rules, *jobs):
    """The type that *rules* tell for each job, written as its name or as its columns."""
    rows = [dict.fromkeys(COLUMNS) | ({"name": each} if isinstance(each, str) else each) for each in jobs]
    numbers = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String)).select(rules.number()).to_series()
    return [None if each is None else rules.rules[each].type for each in numbers]


def rules(text):
    return read(text, JobTypeRules, where="rules.yaml")


@pytest.mark.parametrize(
    ("name", "job_type"),
    [
        ("qlora-llama3-70b", "sft_qlora"),
        ("llama_4bit_sft", "sft_qlora"),
        ("lora_r16", "sft_lora"),
        ("sft-100", "sft_lora"),
        ("my-finetune", "sft_lora"),
        ("dpo_stage2", "preference"),
        ("train-reward-model", "preference"),
        ("full_finetune_7b", "full"),
        ("pretraining-13b", "full"),
        ("lm_eval-mmlu", "eval"),
        ("Evaluation_12", "eval"),
        ("vllm-server", "online"),
        ("serve-router", "online"),
        ("dbg-17", "dev"),
        ("jupyter-alice", "dev"),
        ("medieval-corpus", None),
        ("soft-17", None),
        ("job-48", None),
    ],
)
def test_the_built_in_rules(name, job_type):
    assert types(default_rules(), name) == [job_type]


def test_command_tags_and_class_tell_where_the_name_does_not():
    jobs = [
        {"command": "accelerate launch train.py --load-in-4bit"},
        {"tags": "team-a dpo"},
        {"name": "x", "job_class": "debug"},
        {"name": "x", "command": "vllm serve meta-llama"},
    ]

    assert types(default_rules(), *jobs) == ["sft_qlora", "preference", "dev", "online"]


def test_words_stars_gaps_and_regular_expressions():
    ours = rules('rules: [{type: eval, name: [full fine-tune, bench*, "/^ft-[0-9]+$/"]}]')
    yes = ("full_finetune", "x-full.fine-tune2", "FULL FINE TUNE", "benchmarks", "my_bench", "ft-12")
    no = ("fullfinetuned", "workbench", "ft-12b", "soft-1")

    assert types(ours, *yes, *no) == ["eval"] * len(yes) + [None] * len(no)


def test_the_first_rule_that_matches_decides():
    ours = rules("rules: [{type: dev, name: [test]}, {type: eval, name: [eval, test]}]")

    assert types(ours, "test-eval", "eval") == ["dev", "eval"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{type: Pretrain, name: [a]}]", "counts_as"),
        ("rules: [{type: eval}]", "needs patterns"),
        ("rules: [{type: eval, names: [a]}]", "did you mean `name`"),
        ("rules:\n- type: eval\n  name: ['/(/']", "pattern 1 of `name` is no regular expression"),
        ("rules: []", "at least one rule"),
        ("rule: []", "did you mean `rules`"),
        ("rules: [{type: Mine, counts_as: evals, name: [a]}]", "counts_as"),
    ],
)
def test_a_mistake_in_a_rule_file_is_named_with_its_line(text, message):
    with pytest.raises(InvalidInput, match=rf"(?s)rules\.yaml, line \d.*{message}"):
        rules(text)


def test_a_label_counts_as_one_type():
    twice = rules("rules: [{type: A, counts_as: eval, name: [a]}, {type: A, counts_as: dev, name: [b]}]")

    with pytest.raises(InvalidInput, match="counts as two"):
        check_labels(twice)


def test_labels_of_a_source_count_as_the_type_of_that_name_or_as_other():
    ours = rules("rules: [{type: Pretrain, counts_as: full, name: [a]}]")

    assert [ours.counts_as(each) for each in ("Pretrain", "sft_lora", "Evaluation")] == ["full", "sft_lora", "other"]


def test_a_shape_has_no_numbers_and_is_short():
    names = pl.DataFrame({"name": ["run-17-b3", "x" * 100]})

    assert names.select(shape(pl.col("name"))).to_series().to_list() == ["run-#-b#", "x" * 60]
