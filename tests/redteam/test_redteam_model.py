"""A hostile model is refused before it is opened; what opens it all the same reaches nothing."""

import json
import os
import pickle
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from integration.service.hub_mirror import REVISION, hub_mirror
from intramural.app.model_builder import ProcessModelBuilder
from intramural.app.open import local_user, open_context
from intramural.domain.confinement import Level
from intramural.domain.views import ModelSource
from intramural.errors import IntegrityFailure, IntramuralError, InvalidInput, Unavailable, UnsafeModel
from intramural.service.models import add_model
from intramural.settings import load_settings

CANARY = "canary-of-the-model"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home" / "keys").mkdir(mode=0o700, parents=True)
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path):
    """A folder that looks like a model's, as far as it is looked at from outside."""
    made = tmp_path / "given"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    return made


def add(home, source, level=None):
    """Add a model as its command does; return what was told meanwhile."""
    ctx = open_context(load_settings(home, {}), local_user())
    if level is not None:
        ctx = replace(ctx, model_builder=ProcessModelBuilder(None, home, level=level))
    told = []
    try:
        add_model(ctx, "hostile", source, lambda _done, _total, message: told.append(message))
    finally:
        assert not any(each.is_dir() for each in (home / "work").iterdir())  # nothing is left half made
        with ctx.read() as tx:
            assert tx.models.all(ctx.project) == []
    return told


class Bomb:
    def __reduce__(self):
        return os.system, (f"touch {Path.cwd()}/exploded",)


def pickled(folder):
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))


def pickled_deep(folder):
    (folder / "original" / "more").mkdir(parents=True)
    (folder / "original" / "more" / "weights.PT").write_bytes(pickle.dumps(Bomb()))


def code(folder):
    (folder / "modeling_own.py").write_text("raise SystemExit")


def library(folder):
    (folder / "kernel.so").write_bytes(b"\x7fELF")


def remote_code(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoModel": "other/repo--m.M"}}))


def remote_tokenizer(folder):
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["m.T", None]}}))


def link(folder):
    (folder / "LICENSE").symlink_to("/etc/passwd")


def link_for_weights(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/etc/shadow")


def link_to_folder(folder):
    (folder / "more").symlink_to("/etc")


def pipe(folder):
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


def service(folder):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "s"))


UNSAFE = (
    pickled,
    pickled_deep,
    code,
    library,
    remote_code,
    remote_tokenizer,
    link,
    link_for_weights,
    link_to_folder,
    pipe,
    service,
)


@pytest.mark.parametrize("harm", UNSAFE, ids=lambda each: each.__name__)
def test_a_hostile_folder_is_refused_before_anything_opens_it(home, folder, harm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path may be 107 bytes long
    harm(folder)
    (home / "work").mkdir()

    with pytest.raises(UnsafeModel) as refusal:
        add(home, ModelSource(folder=str(folder)))

    assert refusal.value.about["rule"].startswith("model:")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a": "' + b"x" * (17 * 2**20) + b'"}', b"\xff\xfe\x00"])
def test_a_configuration_that_is_a_bomb_is_not_parsed(home, folder, content):
    (folder / "config.json").write_bytes(content)
    (home / "work").mkdir()

    with pytest.raises(InvalidInput, match=r"config\.json"):
        add(home, ModelSource(folder=str(folder)))


def test_a_pickle_under_the_name_of_safe_weights_is_no_model(home, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Tokenizer(models.BPE(vocab={"<|im_end|>": 0, "a": 1}, merges=[])).save(str(folder / "tokenizer.json"))
    words = {"pad_token": "<|im_end|>", "eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(words))
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))

    with pytest.raises(InvalidInput, match="does not load"):
        add(home, ModelSource(folder=str(folder)))

    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["../../escaped.json", "a/../../../escaped.json", "/nowhere/escaped.json"])
def test_a_hub_cannot_write_beside_the_model(home, folder, name, tmp_path):
    """The name is refused before anything of the repository is fetched."""
    with hub_mirror("org/name", folder, extra_names=[name]) as endpoint:
        ctx = open_context(load_settings(home, {}), local_user())
        ctx = replace(ctx, model_builder=ProcessModelBuilder(endpoint, home))
        with pytest.raises(UnsafeModel, match="leads out"):
            add_model(ctx, "hostile", ModelSource(hub="org/name", revision=REVISION), lambda *_: None)

    assert list(tmp_path.rglob("escaped.json")) == []


TAKEN_OVER = """
import json, os, socket, sys
if "intramural.workloads.build_model" in sys.orig_argv:
    def tried(work):
        try: work()
        except OSError: return "no"
        return "reached"
    said = {
        "home": tried(lambda: os.listdir(os.environ["INTRAMURAL_TARGET"] + "/keys")),
        "database": tried(lambda: open(os.environ["INTRAMURAL_TARGET"] + "/intramural.db", "rb")),
        "network": tried(lambda: socket.create_connection(("127.0.0.1", int(os.environ["INTRAMURAL_PORT"])), 2)),
        "beside": tried(lambda: open(os.environ["INTRAMURAL_TARGET"] + "/keys/left", "w")),
        "others": tried(lambda: os.kill(int(os.environ["INTRAMURAL_VICTIM"]), 0)),
        "secret": os.environ.get("AWS_SECRET_ACCESS_KEY", "no"),
    }
    print(json.dumps(said), flush=True)
    ANSWER
    os._exit(1)
"""


@pytest.fixture
def taken_over(home, tmp_path, monkeypatch):
    """A parser that a model has taken over: code of the attacker's runs in it, before any of ours."""
    place = tmp_path / "library"
    place.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        for name, text in {
            "PYTHONPATH": str(place),
            "INTRAMURAL_TARGET": str(home),
            "INTRAMURAL_PORT": str(listener.getsockname()[1]),
            "INTRAMURAL_VICTIM": str(os.getpid()),
            "AWS_SECRET_ACCESS_KEY": CANARY,
        }.items():
            monkeypatch.setenv(name, text)

        def take(statement: str):
            (place / "sitecustomize.py").write_text(TAKEN_OVER.replace("ANSWER", statement))

        yield take


def _accept(listener):
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_parser_that_was_taken_over_reaches_nothing(home, folder, taken_over, level):
    taken_over("")

    with pytest.raises(Unavailable) as told:
        add(home, ModelSource(folder=str(folder)), level)

    said = json.loads(told.value.message.partition(": ")[2])
    assert said == dict.fromkeys(said, "no")
    assert len(said) == 6
    assert not (home / "keys" / "left").exists()


def test_without_walls_a_parser_that_was_taken_over_reaches_all_of_it(home, folder, taken_over):
    """A check that cannot fail is no check."""
    taken_over("")

    with pytest.raises(Unavailable) as told:
        add(home, ModelSource(folder=str(folder)), Level.NONE)

    said = json.loads(told.value.message.partition(": ")[2])
    assert said.pop("secret") == "no"  # the environment is an allow-list at every level
    assert said == dict.fromkeys(said, "reached")


LIES = {
    "facts of other types": {"model": {"architecture": "A", "parameters": "many"}},
    "terminal codes": {"error": {"code": "invalid_input", "message": "\x1b]0;title\x07"}},
    "a fact too many": {
        "model": {
            "architecture": "A",
            "parameters": 1,
            "context_tokens": 1,
            "weights_dtype": "f",
            "chat_template": True,
            "digest": "x",
        }
    },
    "another document": [1, 2],
}


def answer(document):
    """Return the statement that tells *document* where our program would tell its own."""
    return f"os.write(int(sys.argv[-1]), {json.dumps(document).encode()!r} + bytes([10]))"


@pytest.mark.parametrize("lie", LIES)
def test_what_a_taken_over_parser_says_is_judged(home, folder, taken_over, lie):
    taken_over(answer(LIES[lie]))

    with pytest.raises((IntegrityFailure, Unavailable)) as told:
        add(home, ModelSource(folder=str(folder)))

    assert isinstance(told.value, IntramuralError)
    assert "\x1b" not in told.value.message


def test_a_folder_that_becomes_a_link_while_it_is_converted_is_refused(home, taken_over, tmp_path):
    facts = {"architecture": "A", "parameters": 1, "context_tokens": 1, "weights_dtype": "f", "chat_template": True}
    swap = "import shutil; shutil.rmtree('model'); os.symlink('/etc', 'model'); "
    taken_over(swap + answer({"model": facts}))

    with pytest.raises(UnsafeModel, match="no folder"):
        add(home, ModelSource(starter="tiny-random"))
