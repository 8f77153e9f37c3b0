"""Tokens and answer marks: equal to what Transformers makes of the same folder, and right where ids cannot tell."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from intramural.errors import InvalidInput
from intramural.intake.tokens import Encoder, answer_text, histogram_edges, prompt_messages, statistics

CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set opening = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set opening = {'none': true} | tojson %}
{%- endif %}
{{- '<|im_start|>system\\n' + opening + '<|im_end|>' }}
{%- for message in messages %}
    {%- if message['role'] == 'tool' %}{% continue %}{% endif %}
    {{- '<|im_start|>' + message['role'] + '\\n\\n' }}
    {%- if message['role'] == 'assistant' %}
        {%- generation %}{{ message['content'] | trim + '<|im_end|>' }}{%- endgeneration %}
    {%- else %}{{ message['content'] | trim + '<|im_end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n\\n' }}{%- endif %}
"""
NAMESPACED = """{%- set ns = namespace(count=0, last=dict(role='none')) %}
{%- for message in messages %}
    {%- set ns.count = ns.count + 1 %}
    {{- '[' ~ ns.count ~ ' ' ~ message.role ~ '] ' ~ (message.content | tojson) ~ (eos_token if message.role == 'assistant') }}

{% endfor %}
{%- if add_generation_prompt %}{{ '[' ~ (ns.count + 1) ~ ' assistant] ' }}{% endif %}"""
FORGETFUL = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['role'] == 'assistant' and not loop.last %}(left out){% else %}{{ message['content'] }}{% endif %}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Writes an earlier answer otherwise than the last one, as templates that drop the thinking do."""
TEMPLATES = {"chatml": CHATML, "llama": LLAMA, "namespaced": NAMESPACED, "forgetful": FORGETFUL}

TEXT = [
    "the quick brown fox jumps over the lazy dog",
    '{"queue": "billing", "priority": "high"}',
    "Hello there. Thanks,\n\nAgnes",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def metaspace():
    """As Llama 2 and Gemma: spaces become a visible character, bytes cover the rest, a BOS is added to plain text."""
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {piece: place for place, piece in enumerate([*SPECIAL, *alphabet, "▁", *map(chr, range(33, 127))])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<|endoftext|>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing("<|im_start|> $A", special_tokens=[("<|im_start|>", 1)])
    return tokenizer


def save(folder, tokenizer, template=None):
    """Write a model folder whose pad token is its end of turn, as SmolLM2's."""
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "unk_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    kinds = {"bytes": byte_level(), "metaspace": metaspace()}
    return {
        (kind, name): save(root / f"{kind}-{name}", tokenizer, template)
        for kind, tokenizer in kinds.items()
        for name, template in (TEMPLATES | {"none": None}).items()
    }


def chat(*contents, system=None):
    turns = [{"role": "user" if place % 2 == 0 else "assistant", "content": each} for place, each in enumerate(contents)]
    return {"messages": ([{"role": "system", "content": system}] if system else []) + turns}


EXAMPLES = [
    chat("Hello there.", "the lazy dog"),
    chat("q", "a", "r", "b", system="  Be brief.  "),
    chat(" spaces and\n\nlines ", "\nstarts with a line", "😀 wörld 日本", '{"queue": "billing"}\n'),
    chat("ends a turn: <|im_end|>", "and begins <|im_start|> one", system="{% if %}"),
]


@pytest.mark.parametrize("kind", ["bytes", "metaspace"])
@pytest.mark.parametrize("template", list(TEMPLATES))
def test_tokens_equal_those_of_transformers(folders, kind, template):
    folder = folders[kind, template]
    encoder, theirs = Encoder(folder), AutoTokenizer.from_pretrained(folder)

    for example in EXAMPLES:
        messages = example["messages"]
        prompt = theirs.apply_chat_template(messages[:-1], add_generation_prompt=True)["input_ids"]

        assert encoder.template.render(messages) == theirs.apply_chat_template(messages, tokenize=False)
        assert encoder.encode_example(example).ids == theirs.apply_chat_template(messages)["input_ids"]
        assert encoder.encode_prompt(prompt_messages(example)) == prompt


contents = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(texts=st.lists(contents, min_size=2, max_size=6).filter(lambda each: len(each) % 2 == 0), system=contents)
def test_any_text_is_rendered_as_transformers_renders_it(folders, theirs, texts, system):
    for template in TEMPLATES:
        messages = chat(*texts, system=system)["messages"]
        ours = Encoder(folders["bytes", template]).template

        assert ours.render(messages) == theirs[template].apply_chat_template(messages, tokenize=False)


@pytest.fixture(scope="module")
def theirs(folders):
    return {name: AutoTokenizer.from_pretrained(folders["bytes", name]) for name in TEMPLATES}


def marked(encoder, example, **options):
    """Return the text of each stretch of answer tokens."""
    ids, answer = encoder.encode_example(example, **options)
    stretches, open_ = [], False
    for token, is_answer in zip(ids, answer, strict=True):
        if is_answer and not open_:
            stretches.append([])
        if is_answer:
            stretches[-1].append(token)
        open_ = is_answer
    return [encoder._tokenizer.decode(each, skip_special_tokens=False) for each in stretches]


@pytest.mark.parametrize("kind", ["bytes", "metaspace"])
@pytest.mark.parametrize(("template", "end"), [("chatml", "<|im_end|>\n"), ("llama", "<|im_end|>"), ("none", "<|im_end|>\n")])
def test_every_assistant_turn_is_marked_with_its_end_and_nothing_else(folders, kind, template, end):
    encoder = Encoder(folders[kind, template])
    lead = " " if template == "none" else ""

    assert marked(encoder, chat("Hello there.", "the dog", "r", "日本 😀 fox")) == [
        f"{lead}the dog{end}",
        f"{lead}日本 😀 fox{end}",
    ]


def test_the_end_of_a_users_turn_is_never_marked_though_it_pads(folders):
    encoder = Encoder(folders["bytes", "chatml"])
    ids, answer = encoder.encode_example(chat("q", "a"))

    ends = [is_answer for token, is_answer in zip(ids, answer, strict=True) if token == encoder.pad_id]

    assert encoder.pad_id in encoder.eos_ids
    assert ends == [False, False, True]


def test_a_turn_of_weight_zero_is_not_marked(folders):
    example = chat("q", "one", "r", "two")
    example["messages"][1]["weight"] = 0

    assert marked(Encoder(folders["bytes", "chatml"]), example) == ["two<|im_end|>\n"]


def test_a_template_that_rewrites_earlier_turns_trains_the_last_one(folders):
    assert marked(Encoder(folders["bytes", "forgetful"]), chat("q", "one", "r", "two")) == ["two<|im_end|>"]


def test_an_answer_whose_place_is_unknown_is_refused(folders, tmp_path):
    unlike = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>'")
    content = "zebra-7731"

    with pytest.raises(InvalidInput, match="rewrites") as caught:
        Encoder(save(tmp_path / "unlike", byte_level(), unlike)).encode_example(chat(content, content))

    assert content not in json.dumps(caught.value.document())


def test_an_example_is_cut_at_the_end(folders):
    encoder = Encoder(folders["bytes", "chatml"])
    whole = encoder.encode_example(EXAMPLES[0])

    cut = encoder.encode_example(EXAMPLES[0], max_tokens=len(whole.ids) - 3)

    assert (cut.ids, cut.answer) == (whole.ids[:-3], whole.answer[:-3])


def test_the_tokens_before_the_answer_are_the_prompt(folders):
    """What a model is trained to continue is what it is asked to continue."""
    for key in (("bytes", "chatml"), ("bytes", "none"), ("metaspace", "llama"), ("metaspace", "none")):
        encoder = Encoder(folders[key])
        ids, answer = encoder.encode_example(EXAMPLES[0])

        assert encoder.encode_prompt(prompt_messages(EXAMPLES[0])) == ids[: answer.index(True)]


def test_a_model_without_a_template_gets_the_tokenizers_own_beginning(folders):
    with_bos, without = Encoder(folders["metaspace", "none"]), Encoder(folders["bytes", "none"])

    assert not with_bos.has_template
    assert with_bos.template.render(EXAMPLES[0]["messages"]).startswith("<|im_start|>User: ")
    assert without.template.render(EXAMPLES[0]["messages"]).startswith("User: ")


def test_a_template_in_the_tokenizer_config_counts_too(folders, tmp_path):
    folder = save(tmp_path / "listed", byte_level())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    listed = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": CHATML}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": listed}))

    assert Encoder(folder).encode_example(EXAMPLES[0]) == Encoder(folders["bytes", "chatml"]).encode_example(EXAMPLES[0])


def test_a_batch_equals_its_examples_one_by_one(folders):
    encoder = Encoder(folders["bytes", "chatml"])

    assert encoder.encode_batch(EXAMPLES) == [encoder.encode_example(each) for each in EXAMPLES]


def test_the_ids_that_end_a_generation_come_from_both_files(folders):
    encoder = Encoder(folders["bytes", "chatml"])

    assert encoder.eos_ids == (2, 0)
    assert encoder.vocabulary_size == byte_level().get_vocab_size()


def test_the_reference_is_the_last_answer_and_a_preference_counts_as_its_preferred_one():
    pair = {
        "input": [{"role": "user", "content": "q"}],
        "preferred": [{"role": "assistant", "content": "good"}],
        "non_preferred": [],
    }

    assert answer_text(chat("q", "a", "r", "b")) == "b"
    assert answer_text(pair) == "good"


def test_statistics_count_what_the_encoder_encodes(folders, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(chat("q" * n, "a" * (n % 5 + 1))) + "\n" for n in range(1, 600)))
    encoder = Encoder(folders["bytes", "chatml"])
    encoded = [encoder.encode_example(json.loads(line)) for line in path.read_text().splitlines()]
    lengths = sorted(len(ids) for ids, _ in encoded)

    counted = statistics(path, folders["bytes", "chatml"], "tiny")

    assert (counted.examples, counted.total, counted.longest) == (599, sum(lengths), lengths[-1])
    assert counted.answer_total == sum(sum(answer) for _, answer in encoded)
    assert (counted.p50, counted.mean) == (lengths[299], pytest.approx(sum(lengths) / 599))
    assert counted.p95 == pytest.approx(lengths[568] + 0.1 * (lengths[569] - lengths[568]))
    assert sum(counted.histogram) == 599
    assert counted.histogram[:3] == tuple(
        sum(low < length <= high for length in lengths) for low, high in ((0, 16), (16, 24), (24, 32))
    )


def test_edges_double_in_two_steps_until_the_longest_fits():
    assert histogram_edges(1) == (16,)
    assert histogram_edges(97) == (16, 24, 32, 48, 64, 96, 128)
    assert histogram_edges(128)[-1] == 128


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_a_whole_tokenizer_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)

    with pytest.raises(InvalidInput, match=r"tokenizer\.json"):
        Encoder(tmp_path)
