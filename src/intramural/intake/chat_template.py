"""
A model's chat template, rendered as Transformers renders it, without Transformers.

The template is Jinja2 text out of a model folder: foreign code. It runs in Jinja's
immutable sandbox, sees only plain values, and an error in it never quotes a message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from intramural.errors import InvalidInput

TEMPLATE_FILE = "chat_template.jinja"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"

FALLBACK = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message['role'] | capitalize }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""For a model without a template: `User: …`, `Assistant: …` and the end-of-sequence token, a line each."""


class ChatTemplate:
    """Renders messages to the text that a model was trained on, or will be."""

    def __init__(self, source: str, special_tokens: Mapping[str, str], now: datetime | None = None) -> None:
        """Compile *source*; *now* is the date that a template may write: give a resume the one of its first attempt."""
        self.source = source
        self._special_tokens = dict(special_tokens)
        try:
            self._template = _environment(now).from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise InvalidInput(
                f"The chat template is broken at its line {error.lineno}.", hint=f"Mend {TEMPLATE_FILE} in the model folder."
            ) from None

    @classmethod
    def of_model(cls, model_folder: Path, now: datetime | None = None) -> ChatTemplate | None:
        """Return the template of *model_folder*, or None when it has none."""
        source = template_source(model_folder)
        return None if source is None else cls(source, special_tokens(model_folder), now)

    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False) -> str:
        """Return the text of *messages*; raise `InvalidInput` when the template refuses them."""
        plain = [{"role": each["role"], "content": each["content"]} for each in messages]
        try:
            return self._template.render(
                messages=plain,
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
        except Exception as error:  # a template can raise anything, and any message can quote a message
            raise InvalidInput(
                f"The chat template cannot render a conversation of {len(plain)} turns: {self._reason(error)}.",
                hint="Check the order of the roles against the model's template.",
                roles=[each["role"] for each in plain[:20]],
            ) from None

    def _reason(self, error: Exception) -> str:
        """Return what the template said where it is a constant of the template, else the kind of error."""
        said = str(error).strip().rstrip(".")
        return said if isinstance(error, _Raised) and said and said in self.source else type(error).__name__.strip("_")


class _Raised(jinja2.TemplateError):
    """The template called `raise_exception`."""


def template_source(model_folder: Path) -> str | None:
    """Return the text of a model's default chat template, from where Transformers looks for it."""
    file = model_folder / TEMPLATE_FILE
    if file.is_file():
        return _read_text(file)
    given = read_json(model_folder / TOKENIZER_CONFIG_FILE).get("chat_template")
    if isinstance(given, list):
        named = {each.get("name"): each.get("template") for each in given if isinstance(each, dict)}
        given = named.get("default")
    return given if isinstance(given, str) else None


def special_tokens(model_folder: Path) -> dict[str, str]:
    """Return the tokens a template may name: `bos_token`, `eos_token`, `pad_token` and the like."""
    found: dict[str, str] = {}
    for name in (SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE):
        for key, value in read_json(model_folder / name).items():
            text = value.get("content") if isinstance(value, dict) else value
            if key.endswith("_token") and isinstance(text, str):
                found[key] = text
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in *path*, empty when there is no such file; raise `InvalidInput` when it is not one."""
    if not path.is_file():
        return {}
    try:
        document = json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidInput(f"{path.name} of the model is not a JSON object.", hint="Add the model again from its source.")
    return document


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name} of the model is not UTF-8.", hint="Add the model again from its source.") from None


class _Generation(Extension):
    """Tolerates `{% generation %}`: it marks the assistant's text and writes nothing."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Dict:
    """`dict` without its attributes."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class _Namespace(Namespace):
    """A namespace that stores no name with an underscore in front."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, rest = args[0], args[1:]
        attributes = dict(*rest, **kwargs)
        for name in attributes:
            _refuse_underscore(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_underscore(name)
        Namespace.__setitem__(self, name, value)


def _refuse_underscore(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError("a namespace stores no name that begins with an underscore")


def _raise_exception(message: str) -> None:
    raise _Raised(str(message))


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """As Transformers: Jinja's own filter would escape HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _environment(now: datetime | None) -> ImmutableSandboxedEnvironment:
    """Return the environment that Transformers compiles chat templates in (`utils/chat_template_utils.py`, 5.23)."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    seen = (now or datetime.now().astimezone()).replace(tzinfo=None)

    def _strftime_now(form: str) -> str:
        return seen.strftime(form)

    environment.filters["tojson"] = _tojson
    environment.globals.update(
        raise_exception=_raise_exception,
        strftime_now=_strftime_now,
        dict=_Dict(),
        namespace=_Namespace,
    )
    return environment
