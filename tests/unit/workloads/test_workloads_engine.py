"""Losses and gradients of flat passes are those of Transformers and PEFT, example by example."""

import pytest
import torch

from intramural.workloads.decoder import Decoder, FlatPass
from intramural.workloads.engine import Engine, FlatForward, StockForward, choose_forward
from intramural.workloads.passes import TokenExample, lay_out, layout
from workload_models import adapted, examples, plain_gradients, plain_loss, random_model

FLAT = ["llama", "llama with biases", "qwen2", "mistral"]
STOCK = [
    "qwen3", "gpt_neox", "gemma2 with a soft cap", "phi with a bias on its head", "mistral with a window",
    "llama with dynamic positions",
]  # fmt: skip
CPU = torch.device("cpu")
NEARLY = {"rtol": 1e-8, "atol": 1e-10}


@pytest.fixture
def engine():
    """Make engines that end with the test."""
    made = []

    def make(forward, rows, *, lanes=1, pass_tokens=1000, round_to=None):
        shape = {"lanes": lanes, "threads": lanes, "pass_tokens": pass_tokens, "round_to": round_to}
        made.append(Engine(forward, rows, device=CPU, **shape))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("kind", FLAT)
def test_hidden_states_are_those_of_transformers(model_of, kind):
    model, _ = model_of(kind)
    rows = examples()
    (part,) = lay_out(rows, range(len(rows)), pass_tokens=10_000)
    laid = layout(rows, part)

    with torch.no_grad():
        found = Decoder(model).hidden(FlatPass.of(laid, CPU))
        expected = [model.model(input_ids=torch.tensor([rows[n].ids])).last_hidden_state[0] for n in part.examples]

    assert part.prefix == 8
    torch.testing.assert_close(found[: part.prefix], expected[0][: part.prefix], **NEARLY)
    for states, start, length in zip(expected, laid.starts, laid.lengths, strict=True):
        torch.testing.assert_close(found[start : start + length], states[part.prefix :], **NEARLY)


@pytest.mark.parametrize(
    ("lanes", "pass_tokens", "round_to"),
    [(1, 10_000, 1), (1, 64, 1), (2, 10_000, 1), (2, 64, 1), (1, 10_000, 32), (2, 64, 32), (1, 64, 3)],
)
@pytest.mark.parametrize("kind", FLAT)
def test_flat_passes_give_the_plain_gradients(model_of, engine, kind, lanes, pass_tokens, round_to):
    model, parameters = model_of(kind)
    rows = examples()
    forward, reason = choose_forward(model, train_dropout=False)

    made = engine(forward, rows, lanes=lanes, pass_tokens=pass_tokens, round_to=round_to)
    loss, answers, grads = made.gradients(range(7), parameters)

    expected_loss, expected = plain_gradients(model, parameters, rows)
    assert isinstance(forward, FlatForward), reason
    assert answers == sum(sum(each.answer) for each in rows)
    assert loss == pytest.approx(float(expected_loss), rel=1e-10)
    torch.testing.assert_close(grads, list(expected), **NEARLY)
    assert all(each.abs().max() > 0 for each in grads)


@pytest.mark.parametrize("kind", STOCK)
def test_other_models_are_computed_by_transformers_with_the_same_result(model_of, engine, kind):
    model, parameters = model_of(kind)
    rows = examples(count=4)

    forward, reason = choose_forward(model, train_dropout=False)
    loss, _, grads = engine(forward, rows, pass_tokens=90).gradients(range(4), parameters)

    expected_loss, expected = plain_gradients(model, parameters, rows)
    assert isinstance(forward, StockForward)
    assert reason
    assert loss == pytest.approx(float(expected_loss), rel=1e-10)
    torch.testing.assert_close(grads, list(expected), **NEARLY)


def test_an_adapter_on_the_output_head_is_trained_too(engine):
    model, parameters = adapted(random_model("llama"), targets=["q_proj", "lm_head"])
    rows = examples(count=3)

    forward, reason = choose_forward(model, train_dropout=False)
    loss, _, grads = engine(forward, rows).gradients(range(3), parameters)

    expected_loss, expected = plain_gradients(model, parameters, rows)
    assert reason == "an output head that is adapted or has a bias"
    assert loss == pytest.approx(float(expected_loss), rel=1e-10)
    torch.testing.assert_close(grads, list(expected), **NEARLY)


def test_adapters_on_some_layers_only(engine):
    model, parameters = adapted(random_model("llama"), targets=["v_proj", "down_proj"])
    rows = examples(count=3)

    loss, _, grads = engine(FlatForward(model), rows).gradients(range(3), parameters)

    expected_loss, expected = plain_gradients(model, parameters, rows)
    assert loss == pytest.approx(float(expected_loss), rel=1e-10)
    torch.testing.assert_close(grads, list(expected), **NEARLY)


def test_dropout_draws_as_transformers_does(engine):
    model, parameters = adapted(random_model("llama"), dropout=0.3)
    rows = examples(count=3)
    forward, reason = choose_forward(model, train_dropout=True)
    model.train()
    order = [n for part in lay_out(rows, range(3), pass_tokens=1000, share_prefix=False) for n in part.examples]

    torch.manual_seed(5)
    loss, _, grads = engine(forward, rows).gradients(range(3), parameters)
    torch.manual_seed(5)
    expected_loss, expected = plain_gradients(model, parameters, [rows[n] for n in order])

    assert isinstance(forward, StockForward)
    assert "dropout" in reason
    assert loss == pytest.approx(float(expected_loss), rel=1e-10)
    torch.testing.assert_close(grads, list(expected), **NEARLY)
    model.eval()
    assert float(sum(plain_loss(model, each).detach() for each in rows)) != pytest.approx(loss, rel=1e-6)


def test_lanes_repeat_themselves_bit_by_bit(engine):
    model, parameters = adapted(random_model("llama", torch.float32))
    side_by_side = engine(FlatForward(model), examples(count=12), lanes=2, pass_tokens=100)

    first, *others = [side_by_side.gradients(range(12), parameters) for _ in range(5)]

    for loss, _, grads in others:
        assert loss == first[0]
        assert all(torch.equal(a, b) for a, b in zip(grads, first[2], strict=True))


def test_what_a_step_changes_in_the_adapters_is_taken_in(model_of, engine):
    model, parameters = model_of("llama")
    one = engine(FlatForward(model), examples())
    before = one.loss(range(7))[0]
    with torch.no_grad():
        for each in parameters:
            each.add_(0.05)

    loss, _, grads = one.gradients(range(7), parameters)

    expected, wanted = plain_gradients(model, parameters, examples())
    assert loss == pytest.approx(float(expected), rel=1e-10)
    assert one.loss(range(7))[0] == pytest.approx(float(expected), rel=1e-10)
    assert before != pytest.approx(float(expected), rel=1e-3)
    torch.testing.assert_close(grads, list(wanted), **NEARLY)


@pytest.mark.parametrize("kind", FLAT)
def test_in_bf16_the_fast_forward_is_chosen_by_what_it_computes_not_by_rounding(kind):
    model, parameters = adapted(random_model(kind, torch.bfloat16))
    for each in parameters:
        each.data = each.data.float()

    forward, reason = choose_forward(model, train_dropout=False)

    assert (type(forward), reason) == (FlatForward, None)


def test_in_bf16_a_wrong_position_is_found_by_the_probe(monkeypatch):
    model, parameters = adapted(random_model("llama", torch.bfloat16))
    for each in parameters:
        each.data = each.data.float()
    monkeypatch.setattr("intramural.workloads.decoder.rotate", lambda x, cos, sin: x * cos + x.flip(-1) * sin * 0.01)

    forward, reason = choose_forward(model, train_dropout=False)

    assert isinstance(forward, StockForward)
    assert "probe" in reason


def test_a_loss_without_gradients_is_the_same(model_of, engine):
    model, parameters = model_of("qwen2")
    one = engine(FlatForward(model), examples(), lanes=2, pass_tokens=100)

    loss, answers, _ = one.gradients(range(7), parameters)

    assert one.loss(range(7)) == (pytest.approx(loss, rel=1e-12), answers)


def test_examples_without_an_answer_add_nothing(model_of, engine):
    model, parameters = model_of("llama")
    silent = TokenExample([1, 2, 3, 4], [False] * 4)
    one = engine(FlatForward(model), [*examples(count=2), silent], pass_tokens=10)

    with_it, without = one.gradients([0, 1, 2], parameters), one.gradients([0, 1], parameters)
    loss, answers, grads = one.gradients([2], parameters)

    assert with_it[:2] == without[:2]
    torch.testing.assert_close(with_it[2], without[2], rtol=0, atol=0)
    assert (loss, answers) == (0.0, 0)
    assert all(torch.equal(each, torch.zeros_like(each)) for each in grads)


def test_a_model_that_computes_otherwise_than_its_class_is_found_by_the_probe(model_of):
    model, _ = adapted(random_model("llama"))
    model.model.layers[1].mlp.act_fn = torch.nn.GELU()

    forward, reason = choose_forward(model, train_dropout=False)

    assert isinstance(forward, StockForward)
    assert "probe" in reason
