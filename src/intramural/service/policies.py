"""
The policy of a project: set, shown, and asked about data, jobs and artifacts.

A job is asked about when it is submitted and again when a run of it starts, under the
policy it froze and under the present one: the stricter answer counts. Which policy is the
present one is told in `service.present_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping

from intramural.domain.access import Action
from intramural.domain.approval import ApprovedObject, object_of_artifact, object_of_job
from intramural.domain.artifact import Artifact
from intramural.domain.cause import Cause, Failure
from intramural.domain.confinement import Level
from intramural.domain.dataset import Classification, DatasetVersion
from intramural.domain.findings import FindingKind, Treatment
from intramural.domain.job import Job
from intramural.domain.label import Label
from intramural.domain.lineage import ObjectKind
from intramural.domain.policy import Grant, StoredPolicy, common, read_policy
from intramural.domain.policy_rules import Moment, judge
from intramural.domain.policy_verdict import Facts, Verdict, stricter, undecided
from intramural.domain.spec import JobSpec
from intramural.domain.value import Digest, ProjectId
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, IntramuralError, NotFound, Refused
from intramural.service.approvers import persons_approving
from intramural.service.context import Context
from intramural.service.policy_facts import facts_of_intake, facts_of_work, in_quarantine, label_of, named
from intramural.service.present_policy import POLICY_FILE, PolicyMoved, adopt_policy, kept, present_policy
from intramural.store import Reading, Transaction

STRICTNESS = {
    Treatment.KEEP: 0,
    Treatment.PSEUDONYMISE: 1,
    Treatment.MASK: 2,
    Treatment.DROP: 3,
    Treatment.REFUSE: 4,
}
"""A surrogate still tells which values were the same, a mask does not, and a row that is gone tells nothing."""

Unknown = dict[str, str]
"""Why a fact could not be found out, by its name."""


def show_policy(ctx: Context, digest: str | None = None) -> StoredPolicy:
    """Return the policy that holds, or one that a job froze, by the beginning of its digest."""
    with ctx.read() as tx:
        if digest is None:
            return present_policy(ctx, tx, ctx.project)
        found = tx.policies.matching(ctx.project, digest)
    if found is None:
        raise NotFound("There is no policy of that digest.", hint="`intramural policy show` shows the one that holds.")
    return found


def set_policy(ctx: Context, text: str, *, where: str = POLICY_FILE, dry_run: bool = False) -> StoredPolicy:
    """Make what *text* describes the project's policy. Raises `InvalidInput`, and `Conflict` while a file in the home holds."""
    policy = read_policy(text, where=where)
    stored = StoredPolicy(digest=policy.digest, policy=policy, source="set", by=ctx.actor.subject, at=ctx.now())
    if dry_run:
        return stored
    with ctx.act(Action.POLICY_SET, target=f"policy {stored.digest}") as tx:
        if (ctx.home / POLICY_FILE).exists():
            raise Conflict(
                f"The home has a {POLICY_FILE}, and that holds while it is there.",
                hint=f"Change {ctx.home / POLICY_FILE}, or remove it and set the policy again.",
            )
        tx.policies.add(ctx.project, stored, is_set=True)
        return stored


def treatments(
    ctx: Context, classification: Classification, said: Mapping[FindingKind, Treatment] | None = None
) -> dict[FindingKind, Treatment]:
    """
    Return what is done about findings in data of that class: what was *said*, and what the policy wants.

    Other kinds follow the scan's defaults. Raises `Refused` where less was said than the policy wants. The policy is on
    record from here on.
    """
    adopt_policy(ctx)
    with ctx.read() as tx:
        wanted = present_policy(ctx, tx, ctx.project).policy.of(classification).redaction
    chosen = {**wanted, **(said or {})}
    laxer = {kind: least for kind, least in wanted.items() if STRICTNESS[chosen[kind]] < STRICTNESS[least]}
    if laxer:
        words = ", ".join(f"{chosen[kind]} was said of {kind}, and the policy wants {least}" for kind, least in laxer.items())
        hints = " ".join(f"Leave {kind} to the policy, or say {least} or stricter." for kind, least in laxer.items())
        raise Refused(f"The rule `redaction` refuses it: {words}.", hint=hints, rule="redaction")
    return chosen


def with_what_the_policy_refuses(ctx: Context, classification: Classification, refusal: Refused) -> Refused:
    """Return the refusal of findings, without an offer that the policy would refuse next: it wants some kinds refused."""
    wanted = treatments(ctx, classification)
    kept_out = [kind for kind in refusal.about.get("kinds", {}) if wanted.get(FindingKind(kind)) is Treatment.REFUSE]
    if not kept_out:
        return refusal
    words = f"The policy takes no rows with {', '.join(kept_out)}: remove them from the source"
    return Refused(refusal.message, hint=f"{words}, or have an owner change `redaction`.", **refusal.about)


def check_intake(ctx: Context, name: str, options: DatasetOptions) -> None:
    """Raise `Refused` where the policy does not let such data be kept here; the policy is on record from here on."""
    adopt_policy(ctx)
    with ctx.read() as tx:
        verdict = _judged(ctx, tx, ctx.project, facts_of_intake(ctx, tx, name, options), Moment.INTAKE)
    if not verdict.allowed:
        raise verdict.refusal()


def check_showing(ctx: Context, tx: Reading, data: DatasetVersion) -> None:
    """Raise `Refused` where rows of a version are not handed out: it is in quarantine."""
    facts = Facts(classification=data.classification, quarantined=in_quarantine(tx, ctx.project, named(data)))
    verdict = _judged(ctx, tx, ctx.project, facts, Moment.SHOW)
    if not verdict.allowed:
        raise verdict.refusal()


def judge_submission(ctx: Context, tx: Reading, spec: JobSpec, base: Digest, data: DatasetVersion) -> Verdict:
    """Tell what the present policy says to a job before it is queued."""
    facts = facts_of_work(ctx, tx, ctx.project, spec, base, data)
    return _judged(ctx, tx, ctx.project, facts, Moment.USE)


def judge_start(ctx: Context, tx: Reading, job: Job) -> Verdict:
    """
    Tell what the frozen and the present policy say to a run of *job* now.

    Where all that is missing is approvals, the job waits: `Verdict.waits`.
    """
    data = next((each for each in tx.datasets.all(job.project) if each.label == job.dataset_label), None)
    facts = facts_of_work(ctx, tx, job.project, job.spec, job.base_digest, data, job)
    approvals, unknown = _approvals(ctx, tx, job, object_of_job(job))
    facts = facts.model_copy(update={"approvals": approvals})
    return _by_both(ctx, tx, job, facts, unknown, Moment.USE, Moment.START)


def _by_both(ctx: Context, tx: Reading, job: Job, facts: Facts, unknown: Unknown, *moments: Moment) -> Verdict:
    """Ask the present policy and the frozen one, at each of the moments."""
    present = [_judged(ctx, tx, job.project, facts, moment, unknown) for moment in moments]
    return stricter(*present, *(each for moment in moments for each in _judged_frozen(tx, job, facts, moment, unknown)))


def grant_of(ctx: Context, job: Job) -> Grant:
    """Return what a run of *job* is given: what the frozen and the present policy both give. Raises `InvalidInput`."""
    with ctx.read() as tx:
        listed = present_policy(ctx, tx, job.project).policy
        frozen = tx.policies.with_digest(job.project, job.policy_digest) if job.policy_digest else None
        label = job.label or _label_by_data(tx, job)
    if label is None:
        return Grant(gpus=False, level=Level.NAMESPACES)
    present = listed.of(label.classification)
    if frozen is None:
        return Grant(gpus=False, level=present.isolation)
    accepted = frozen.policy.of(label.classification)
    return Grant(
        egress=common(present.egress, accepted.egress),
        gpus=present.gpus and accepted.gpus,
        level=max(present.isolation, accepted.isolation),
    )


def judge_leaving(ctx: Context, tx: Reading, artifact: Artifact) -> Verdict:
    """Tell what the policies say to an artifact that is exported or served."""
    job = tx.jobs.get(artifact.job_id)
    label = artifact.label or _label_by_data(tx, job)
    approvals, unknown = _approvals(ctx, tx, job, object_of_artifact(artifact))
    facts = Facts(
        classification=label.classification if label else None,
        approvals=approvals,
        quarantined=in_quarantine(
            tx, job.project, (ObjectKind.ARTIFACT, artifact.id, artifact.digest), (ObjectKind.JOB, job.id, None)
        ),
    )
    return _by_both(ctx, tx, job, facts, unknown, Moment.LEAVE)


def check_leaving(ctx: Context, tx: Reading, artifact: Artifact) -> None:
    """Raise `Refused` where a policy keeps an artifact in."""
    verdict = judge_leaving(ctx, tx, artifact)
    if not verdict.allowed:
        raise verdict.refusal()


def approvals_to_start(ctx: Context, tx: Reading, label: Label) -> int:
    """Return how many persons must approve work on such data before it starts, by the present policy."""
    return present_policy(ctx, tx, ctx.project).policy.of(label.classification).start_approvals


def freeze(ctx: Context, tx: Transaction) -> Digest:
    """Keep the present policy by its digest, for the job that is accepted under it."""
    present = present_policy(ctx, tx, ctx.project)
    if tx.policies.with_digest(ctx.project, present.digest) is None:
        tx.policies.add(ctx.project, kept(ctx, present), is_set=False)
    return present.digest


def failure_of(verdict: Verdict) -> Failure:
    """Say why a job that was queued is refused after all, with the change that would mend it."""
    words = "; ".join(f"`{each.rule}`: {each.reason}" for each in verdict.denials)
    return Failure(cause=Cause.REFUSED, evidence=f"{words}. {verdict.denials[0].change}")


def _judged(
    ctx: Context, tx: Reading, project: ProjectId, facts: Facts, moment: Moment, unknown: Unknown | None = None
) -> Verdict:
    try:
        return judge(facts, present_policy(ctx, tx, project).policy, moment, why_unknown=unknown)
    except PolicyMoved:  # to be decided again, by the one that holds now
        raise
    except IntramuralError as error:  # a policy that cannot be read allows nothing
        denial = undecided("policy", error.message.rstrip("."), error.hint or "Mend the policy.")
        return Verdict(policy=None, classification=facts.classification, denials=(denial,))


def _judged_frozen(tx: Reading, job: Job, facts: Facts, moment: Moment, unknown: Unknown) -> list[Verdict]:
    """Return what the policy that *job* froze says; nothing for a job from before there were policies."""
    if job.policy_digest is None:
        return []
    frozen = tx.policies.with_digest(job.project, job.policy_digest)
    if frozen is not None:
        return [judge(facts, frozen.policy, moment, why_unknown=unknown)]
    denial = undecided("policy", "the policy it was accepted under is not in the store as it was", "Submit the job again.")
    return [Verdict(policy=job.policy_digest, classification=facts.classification, denials=(denial,))]


def _approvals(ctx: Context, tx: Reading, job: Job, what: ApprovedObject) -> tuple[int | None, Unknown]:
    """Return how many persons' approval counts; None, which is a no, with the reason where that could not be found out."""
    try:
        return len(persons_approving(ctx, tx, job, what)), {}
    except IntramuralError as error:
        return None, {"approvals": error.message.rstrip(".")}


def _label_by_data(tx: Reading, job: Job) -> Label | None:
    data = next((each for each in tx.datasets.all(job.project) if each.label == job.dataset_label), None)
    return job.label or (label_of(job.spec, data) if data else None)
