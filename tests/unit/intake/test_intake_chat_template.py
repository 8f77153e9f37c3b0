"""The chat template: what it may do, and what its errors may say."""

from datetime import datetime

import pytest

from intramural.errors import InvalidInput
from intramural.intake.chat_template import FALLBACK, ChatTemplate

CONTENT = "zebra-7731"
CHAT = [{"role": "user", "content": CONTENT}, {"role": "assistant", "content": "a"}]


def test_a_model_without_a_template_gets_a_line_per_turn_and_an_end():
    template = ChatTemplate(FALLBACK, {"bos_token": "", "eos_token": "</s>"})

    assert template.render(CHAT) == f"User: {CONTENT}\nAssistant: a</s>\n"
    assert template.render(CHAT[:1], add_generation_prompt=True) == f"User: {CONTENT}\nAssistant:"


def test_a_template_writes_the_date_it_is_given():
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", {}, now=datetime(2026, 11, 24))  # noqa: DTZ001  as Transformers

    assert template.render(CHAT) == "24 Nov 2026"


def test_a_refusal_in_the_templates_own_words_is_passed_on():
    template = ChatTemplate("{{ raise_exception('Roles must alternate') }}", {})

    with pytest.raises(InvalidInput, match="Roles must alternate"):
        template.render(CHAT)


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('bad: ' + messages[0]['content']) }}",
        "{{ raise_exception(messages[0]['content']) }}",
        "{{ messages[0]['content'] + 1 }}",
        "{{ messages[0]['content'].x.y }}",
        "{{ messages.append(1) }}",
        "{{ messages[0]['content'].__class__.__mro__ }}",
        "{{ namespace(__x=1) }}",
        "{% for i in range(10**9) %}{% endfor %}",
    ],
)
def test_an_error_never_quotes_a_message_and_the_sandbox_holds(source):
    template = ChatTemplate(source, {})

    with pytest.raises(InvalidInput) as caught:
        template.render(CHAT)

    assert CONTENT not in str(caught.value.document())
    assert caught.value.__cause__ is None


def test_a_broken_template_is_refused_with_its_line():
    with pytest.raises(InvalidInput, match="line 2"):
        ChatTemplate("\n{% if %}", {})
