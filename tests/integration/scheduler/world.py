"""A home with a model and a data set in it, and jobs whose name says how their workload behaves."""

from datetime import UTC, datetime

from intramural.app.open import local_user, open_context, scheduler_actor
from intramural.domain.dataset import Classification, DatasetVersion, ExampleKind, Split
from intramural.domain.model import BaseModelVersion
from intramural.domain.spec import JobSpec
from intramural.domain.value import digest_of, digest_of_bytes
from intramural.service import jobs
from intramural.service.scope_keys import dataset_files
from intramural.settings import load_settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def member(home):
    return open_context(load_settings(home, {}), local_user())


def system(home):
    return open_context(load_settings(home, {}), scheduler_actor())


def furnish(home):
    """Put a model and a data set into the store and the vault, without training libraries."""
    ctx = member(home)
    folder = home / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    digest, _ = ctx.vault.put_tree(folder)
    sealed = dataset_files(ctx, "rows")
    rows = {"train.jsonl": b'{"messages": []}\n', "holdout.jsonl": b'{"messages": []}\n\n'}
    train, holdout = (digest_of_bytes(body) for body in rows.values())
    train_sealed, holdout_sealed = (ctx.vault.put_bytes(sealed.files.body(body, name)) for name, body in rows.items())
    with ctx.store.writing() as tx:
        tx.models.add(
            ctx.project,
            BaseModelVersion(
                name="small", digest=digest, source="random", architecture="LlamaForCausalLM", parameters=1000,
                context_tokens=512, weights_dtype="fp32", size_bytes=4000, licence=None, chat_template=True, added_at=NOON,
            ),
        )  # fmt: skip
        tx.datasets.add(
            ctx.project,
            DatasetVersion(
                name="rows", version=1, digest=digest_of([train, holdout]), kind=ExampleKind.CHAT, source_format="chat",
                classification=Classification.INTERNAL, train_digest=train, holdout_digest=holdout, train_examples=8,
                holdout_examples=2, size_bytes=34, rows_read=10, fault_count=0, duplicates=0, holdout_overlap=0,
                split=Split(), added_at=NOON, train_sealed=train_sealed, holdout_sealed=holdout_sealed,
            ),
        )  # fmt: skip
        sealed.write_down(tx, ctx.project)


def submit(home, behaviour, **spec):
    """Queue a job that behaves as its name says; return its id."""
    return jobs.submit_job(member(home), JobSpec(name=behaviour, base="small", data="rows", **spec)).id


def job_of(home, job_id):
    ctx = member(home)
    with ctx.read() as tx:
        return tx.jobs.get(job_id)


def runs_of(home, job_id):
    ctx = member(home)
    with ctx.read() as tx:
        return tx.runs.of_job(job_id)


def events_of(home, job_id, kind):
    """Return (attempt, event) of every event of a kind, in order."""
    return [
        (each.attempt, each.event) for each in jobs.job_events(member(home), job_id, limit=100_000) if each.event.type == kind
    ]
