"""
A workload in numbers: every answer to the discovery interview, with where it comes from.

One class per section of the guide, one field per question. A field's annotation is its kind
(how an answer is read), `ask` its question, its reason, the lines of the guide it answers and
the condition under which it is put. Every form of the interview is made from these lines.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from intramural.domain import profile_choices as choices
from intramural.domain.answer_kinds import Number, OneOf, SomeOf, Text, YesNo
from intramural.domain.answer_tables import Parts, Shares, Spreads, SpreadsBy
from intramural.domain.answers import Answers, Provenance
from intramural.domain.asking import ProfileField, When, ask, fields_of
from intramural.domain.quantity import Dimension, Quantity
from intramural.domain.value import Value

Words = Annotated[str, Text()]
YesOrNo = Annotated[bool, YesNo()]
Duration = Annotated[Quantity, Number(Dimension.DURATION)]
Size = Annotated[Quantity, Number(Dimension.SIZE)]
Share = Annotated[Quantity, Number(Dimension.PERCENT)]
Tokens = Annotated[Quantity, Number(Dimension.TOKENS)]
Listed = Annotated[tuple[str, ...], SomeOf((), open=True)]

_GPUS = When("anatomy.gpu_count", any_above=0)
_ON_PREMISES = "Decides what may run where, before anything is started."


class Context(Value):
    """Section 0: who they are and what success means."""

    organisation: Answers[Annotated[str, OneOf(choices.ORGANISATIONS)]] = ask(
        "What is the organisation and its team?", why="A team of one needs no approvals; a platform does.", guide=("0.1",)
    )
    people: Answers[Annotated[Quantity, Number(Dimension.COUNT)]] = ask(
        "How many people work with the models?", why="Sizes quotas and support.", guide=("0.1",)
    )
    runs_jobs: Answers[Annotated[tuple[str, ...], SomeOf(choices.RUNNERS, open=True)]] = ask(
        "Who runs the jobs today?", why="Decides whether a notebook, a command or a pipeline comes first.", guide=("0.2",)
    )
    success: Answers[Annotated[tuple[str, ...], SomeOf(choices.SUCCESS, open=True, ranked=True)]] = ask(
        "What is success, most important first?", why="Chooses the evaluation and what the report is judged by.", guide=("0.3",)
    )


class Anatomy(Value):
    """Section 1: the workload in numbers, for the last 30 to 90 days."""

    job_mix: Answers[Annotated[Shares, Parts(OneOf(choices.JOB_TYPES, open=True), "sft_lora 60%; eval 30%; dev 10%")]] = ask(
        "What share of the jobs is of which type?",
        why="The first line of the page; weighs all the rest.",
        guide=("1.1", "page.1"),
    )
    model_sizes: Answers[Annotated[Shares, Parts(Number(Dimension.PARAMETERS), "7B 80%; 70B 20%")]] = ask(
        "Which model sizes are used (7B/13B will do)?", why="Memory follows from size.", guide=("1.2",)
    )
    run_time: Answers[Annotated[Spreads, SpreadsBy(OneOf(choices.JOB_TYPES, open=True))]] = ask(
        "How long do runs take: p50 and p90 for each job type?",
        why="Checkpoint cadence, time limits and forecasts follow from it.",
        guide=("1.3", "hard.3", "page.2"),
    )
    gpu_count: Answers[Annotated[Shares, Parts(Number(Dimension.GPUS), "1 60%; 8 40%")]] = ask(
        "How many GPUs does a job ask for (1/2/4/8 will do; 0 for none)?",
        why="The shape of the machines.",
        guide=("1.4", "hard.2", "page.3"),
    )
    gpu_vram: Answers[Size] = ask(
        "How much memory must one GPU have?", why="The tier of GPU.", guide=("hard.2", "page.3"), when=_GPUS
    )
    multi_node: Answers[Share] = ask(
        "What share of the jobs spans several nodes?", why="Decides whether the network matters.", guide=("1.4",), when=_GPUS
    )
    pains: Answers[Annotated[tuple[str, ...], SomeOf(choices.PAINS, open=True, ranked=True)]] = ask(
        "What blocks you today, worst first?", why="The last line of the page, and what to mend first.", guide=("1.5", "page.7")
    )
    queue_time: Answers[Annotated[Spreads, SpreadsBy(OneOf(choices.JOB_CLASSES, open=True), example="dev 1 min / 10 min")]] = (
        ask(
            "How long do jobs wait before they start: p50 and p90 by class?",
            why="Waiting is the first thing teams complain about and the easiest to measure.",
            guide=("1.5",),
        )
    )
    checkpoint_interval: Answers[Duration] = ask(
        "How often is a checkpoint written?", why="Bounds the work a failure costs.", guide=("1.6", "hard.4", "page.4")
    )
    checkpoint_size: Answers[Size] = ask(
        "How large is a checkpoint?", why="Storage, and the time a checkpoint takes.", guide=("hard.4", "page.4")
    )
    resume_rate: Answers[Share] = ask(
        "What share of the runs was resumed at least once?", why="Whether checkpoints are of use.", guide=("1.6",)
    )
    dataset_size: Answers[Size] = ask(
        "How large is a typical data set, raw?", why="Intake, storage and epochs.", guide=("1.7", "hard.1", "page.4")
    )
    dataset_tokens: Answers[Tokens] = ask(
        "How many tokens is that?", why="Training time follows from it.", guide=("1.7", "hard.1")
    )
    sequence_length: Answers[Tokens] = ask(
        "How long is a typical sequence?", why="Memory follows from it.", guide=("1.7", "hard.1")
    )
    samples: Answers[Annotated[Quantity, Number(Dimension.SAMPLES)]] = ask(
        "How many samples does it hold?", why="Steps an epoch.", guide=("1.7",)
    )
    artifacts: Answers[Annotated[tuple[str, ...], SomeOf(choices.ARTIFACTS, open=True)]] = ask(
        "What do the jobs produce?", why="What must be kept, signed and served.", guide=("1.8",)
    )
    success_rate: Answers[Share] = ask("What share of the runs succeeds?", why="What failures cost today.", guide=("hard.5",))
    failure_causes: Answers[
        Annotated[Shares, Parts(OneOf(choices.CAUSES, open=True), "gpu_out_of_memory 60%; time_limit 40%")]
    ] = ask("Why do runs fail: what share has which cause?", why="Tells what to mend first.", guide=("hard.5",))


class Stack(Value):
    """Section 2: the stack and what the environment allows."""

    frameworks: Answers[Annotated[tuple[str, ...], SomeOf(choices.FRAMEWORKS, open=True)]] = ask(
        "Which frameworks are used?", why="What an image must hold and what must stay compatible.", guide=("2.1",)
    )
    precision: Answers[Annotated[tuple[str, ...], SomeOf(choices.PRECISIONS, open=True)]] = ask(
        "Which precision?", why="Memory, and which GPUs can do it.", guide=("2.2",)
    )
    qlora: Answers[YesOrNo] = ask("Is QLoRA (4-bit) used?", why="A quarter of the memory of the base.", guide=("2.2",))
    cuda: Answers[Words] = ask(
        "Which CUDA and driver versions are a must (or: whatever works)?", why="Pins the image.", guide=("2.3",), when=_GPUS
    )
    container: Answers[Annotated[str, OneOf(choices.CONTAINERS)]] = ask(
        "Are containers fine, or is a VM required?", why="How a job is packed.", guide=("2.4",)
    )
    vm_reason: Answers[Annotated[tuple[str, ...], SomeOf(choices.VM_REASONS, open=True)]] = ask(
        "Why a VM?", why="A reason can often be met otherwise.", guide=("2.4",), when=When("stack.container", ("vm",))
    )
    internet: Answers[YesOrNo] = ask("Do jobs need the internet?", why=_ON_PREMISES, guide=("2.5", "page.5"))
    domains: Answers[Listed] = ask(
        "Which domains (Hugging Face, W&B, package mirrors)?",
        why="Becomes the allow-list.",
        guide=("2.5", "page.5"),
        when=When("stack.internet", ("yes",)),
    )
    egress_rules: Answers[Words] = ask(
        "Which egress rules hold?", why="Becomes the policy.", guide=("2.5", "page.5"), when=When("stack.internet", ("no",))
    )


class Governance(Value):
    """Section 3: what is in the data and what is required for it."""

    contents: Answers[Annotated[tuple[str, ...], SomeOf(choices.CONTENTS, open=True)]] = ask(
        "What is inside the data?", why="Decides its classification.", guide=("3.1",)
    )
    region_lock: Answers[YesOrNo] = ask("Must data stay in a region?", why=_ON_PREMISES, guide=("3.2.1", "page.5"))
    regions: Answers[Listed] = ask(
        "Which regions?", why="Becomes the policy.", guide=("3.2.1", "page.5"), when=When("governance.region_lock", ("yes",))
    )
    isolation: Answers[Annotated[str, OneOf(choices.ISOLATION)]] = ask(
        "A dedicated node, or is a dedicated project or network enough?", why=_ON_PREMISES, guide=("3.2.2", "page.5")
    )
    encryption: Answers[YesOrNo] = ask("Must data be encrypted at rest?", why="Becomes the policy.", guide=("3.2.3",))
    customer_keys: Answers[YesOrNo] = ask(
        "With keys that you hold?",
        why="Names the key provider.",
        guide=("3.2.3",),
        when=When("governance.encryption", ("yes",)),
    )
    audit_logs: Answers[YesOrNo] = ask("Must it be on record who accessed what?", why="Becomes the policy.", guide=("3.2.4",))
    audit_retention: Answers[Duration] = ask(
        "How long are audit logs kept?",
        why="Becomes the policy.",
        guide=("3.2.4", "page.5"),
        when=When("governance.audit_logs", ("yes",)),
    )
    data_retention: Answers[Duration] = ask(
        "How long may data and artifacts be kept?", why="When keys are destroyed.", guide=("page.5",)
    )
    store_prompts: Answers[Annotated[str, OneOf(choices.STORING)]] = ask(
        "May prompts and outputs be stored?", why="What may be logged; usually nothing.", guide=("3.3",)
    )
    ingress: Answers[Annotated[tuple[str, ...], SomeOf(choices.INGRESS, open=True)]] = ask(
        "How does data come in?", why="Which connectors come first.", guide=("3.4", "page.6")
    )
    egress: Answers[Annotated[tuple[str, ...], SomeOf(choices.INGRESS, open=True)]] = ask(
        "How do artifacts leave?", why="Which connectors come first.", guide=("3.4", "page.6")
    )


class Operations(Value):
    """Section 4: what is expected of whoever runs it."""

    start_dev: Answers[Duration] = ask("How soon must a dev job start?", why="The target of class `dev`.", guide=("4.1",))
    start_training: Answers[Duration] = ask(
        "How soon must a training job start?", why="The target of class `training`.", guide=("4.1",)
    )
    spot: Answers[Annotated[str, OneOf(choices.SPOT)]] = ask(
        "Are preemptible (spot) machines accepted?", why="Much cheaper where runs resume.", guide=("4.2",)
    )
    spot_conditions: Answers[Words] = ask(
        "Under what conditions?",
        why="Becomes the policy.",
        guide=("4.2",),
        when=When("operations.spot", ("yes", "with_checkpoints", "dev_only")),
    )
    slo: Answers[Annotated[tuple[str, ...], SomeOf(choices.SLO, open=True, ranked=True)]] = ask(
        "What matters most, in order?", why="What to trade when not all can be had.", guide=("4.3",)
    )
    support: Answers[Annotated[tuple[str, ...], SomeOf(choices.SUPPORT, open=True)]] = ask(
        "Where do you expect support?", why="The channel people will really use.", guide=("4.4",)
    )
    response_time: Answers[Duration] = ask("How soon must someone answer?", why="The cost of support.", guide=("4.4",))
    onboarding: Answers[YesOrNo] = ask("Is onboarding needed?", why="Plan the first week.", guide=("4.4",))


class Workflow(Value):
    """Section 5: what the team works with."""

    launch: Answers[Annotated[tuple[str, ...], SomeOf(choices.LAUNCHERS, open=True)]] = ask(
        "How are jobs launched?", why="Which door comes first.", guide=("5.1",)
    )
    tracking: Answers[Annotated[tuple[str, ...], SomeOf(choices.TRACKERS, open=True)]] = ask(
        "Where are runs tracked?", why="Which connectors come first.", guide=("5.2", "page.6")
    )
    registry: Answers[Annotated[tuple[str, ...], SomeOf(choices.REGISTRIES, open=True)]] = ask(
        "Where do models go?", why="Which connectors come first.", guide=("5.3", "page.6")
    )
    auth: Answers[Annotated[tuple[str, ...], SomeOf(choices.AUTH, open=True)]] = ask(
        "What is needed for identity and access?", why="Roles, keys and single sign-on.", guide=("5.4",)
    )
    sso_later: Answers[YesOrNo] = ask("Is single sign-on needed later?", why="Plan for it now.", guide=("5.4",))


class Profile(Value):
    """One organisation's or team's workload. `profile.yaml` holds it."""

    version: Literal[1] = 1
    name: str = Field(default="", description="The organisation, team or project.", max_length=200)
    respondent: str = Field(default="", description="Who answered: a role rather than a name.", max_length=200)
    interviewed: date | None = Field(default=None, description="The day of the interview.")
    window_days: int = Field(
        default=90, ge=1, le=366, description="How many days back the answers reach; the guide says 30 to 90."
    )
    notes: str = Field(default="", description="Anything else that was said.", max_length=20_000)
    context: Context = Context()
    anatomy: Anatomy = Anatomy()
    stack: Stack = Stack()
    governance: Governance = Governance()
    operations: Operations = Operations()
    workflow: Workflow = Workflow()

    def document(self) -> dict[str, Any]:
        """Return what was answered as plain JSON types, the version first."""
        return {"version": self.version, **self.model_dump(mode="json", exclude_defaults=True)}

    def answers(self, path: str) -> Answers[Any]:
        """Return the answers at `section.field`. Raises `KeyError` when there is no such question."""
        field_of(path)
        section, _, name = path.partition(".")
        found: Answers[Any] = getattr(getattr(self, section), name)
        return found

    def with_answers(self, path: str, answers: Answers[Any]) -> Profile:
        """Return the profile with *answers* at `section.field`, checked by its kind."""
        field_of(path)
        name, _, field = path.partition(".")
        declared: Any = SECTIONS[name].model_fields[field].annotation
        given = {each: answers.by(each) for each in Provenance}
        parts = {each: dict(answer) if answer else None for each, answer in given.items()}
        section = getattr(self, name).model_copy(update={field: declared.model_validate(parts)})
        return self.model_copy(update={name: section})


SECTIONS: dict[str, type[Value]] = {
    "context": Context,
    "anatomy": Anatomy,
    "stack": Stack,
    "governance": Governance,
    "operations": Operations,
    "workflow": Workflow,
}

FIELDS: tuple[ProfileField, ...] = tuple(
    each for number, (name, section) in enumerate(SECTIONS.items()) for each in fields_of(section, name, number)
)
"""Every question, in the order of the guide."""

_BY_PATH = {each.path: each for each in FIELDS}


def field_of(path: str) -> ProfileField:
    """Return the question at `section.field`. Raises `KeyError` when there is none."""
    return _BY_PATH[path]


def applies(profile: Profile, asked: ProfileField) -> bool:
    """Tell whether the question is to be put, given what has been answered; one behind an unknown answer is not."""
    if asked.when is None:
        return True
    value = profile.answers(asked.when.path).value
    if value is None:
        return False
    if asked.when.any_above is not None:
        numbers = [field_of(asked.when.path).kind.keys.read(key).middle for key in value.parts]  # type: ignore[attr-defined]
        return any(each > asked.when.any_above for each in numbers)
    given = value if isinstance(value, tuple) else (field_of(asked.when.path).kind.write(value),)
    return bool(set(given) & set(asked.when.any_of))
