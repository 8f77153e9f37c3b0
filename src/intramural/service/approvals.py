"""
Approvals: asked for, added with a signature, listed, withdrawn.

The platform holds nobody's private key: a person signs a request where their key is, and
what is added here is the text and the signature. `domain.approval` says when one counts.
"""

from __future__ import annotations

from intramural.domain.access import Action
from intramural.domain.approval import (
    LARGEST_REQUEST,
    NAMESPACE,
    Approval,
    ApprovalRequest,
    ApprovalStanding,
    ApprovedObject,
    Approver,
    Asked,
    approval_id,
    fault_of,
    object_of_artifact,
    object_of_job,
    person_of,
    read_request,
)
from intramural.domain.artifact import Artifact
from intramural.domain.job import Job, JobState
from intramural.domain.ssh_signature import signer_of
from intramural.domain.verdict import one_line
from intramural.errors import Conflict, InvalidInput, NotFound, Refused
from intramural.service.approvers import approvers_of, home_name
from intramural.service.artifacts import find_artifact
from intramural.service.context import Context
from intramural.service.jobs import find_job
from intramural.service.reports import build_report
from intramural.store import Reading


def request_approval(ctx: Context, ref: str) -> ApprovalRequest:
    """
    Return what an approver signs: of a job that waits, of all that an ended job made, or of one artifact.

    Raises `Conflict` for a job that runs, or that ended and left nothing.
    """
    with ctx.read() as tx:
        artifacts = tx.artifacts.matching(ctx.project, ref) if ref.startswith(("art-", "sha256:")) else []
        if artifacts:
            artifact = find_artifact(ctx, tx, ref)
            return _request(ctx, tx, tx.jobs.get(artifact.job_id), (artifact,))
        job = find_job(ctx, tx, ref)
        return _request(ctx, tx, job, tuple(tx.artifacts.all(ctx.project, job.id)))


def add_approval(ctx: Context, request: str, signature: str) -> Approval:
    """
    Keep a person's signed yes. Raises `InvalidInput` for another text, `Conflict` where it is known or out of date.

    Raises `Refused` for a signature by nobody on the list of approvers, or by who submitted the job.
    """
    if len(request) > LARGEST_REQUEST:
        raise InvalidInput("That is too long for a request.", hint="Name the file that `intramural approvals request` wrote.")
    asked = read_request(request)
    with ctx.act(Action.OBJECT_APPROVE, target=asked.job) as tx:
        job = find_job(ctx, tx, asked.job)
        person = _person(ctx, job, request, signature)
        _check_present(ctx, tx, job, asked)
        key = signer_of(signature, request.encode(), NAMESPACE)
        approval = Approval(
            id=approval_id(request, key),
            project=ctx.project,
            job=job.id,
            by=person,
            key=key.line,
            request=request,
            signature=signature,
            added_by=ctx.actor.subject,
            added_at=ctx.now(),
        )
        if known := tx.approvals.matching(ctx.project, approval.id):
            raise _known_already(known[0])
        tx.approvals.add(approval)
        objects = {each.id: each.digest for each in asked.objects}
        about = {"job": job.id, "approval": approval.id, "approver": person, "key": key.fingerprint}
        tx.concerns["detail"] = about | {"objects": objects}
        if len(objects) == 1:
            tx.concerns.update(target=asked.objects[0].id, digest=asked.objects[0].digest)
        return approval


def list_approvals(ctx: Context, job: str | None = None) -> list[ApprovalStanding]:
    """Return the approvals of a job and what it made, or all, oldest first, each with whether it counts now."""
    with ctx.read() as tx:
        found = tx.approvals.of_job(find_job(ctx, tx, job).id) if job else tx.approvals.all(ctx.project)
        approvers = approvers_of(ctx) if found else ()
        return [approval_standing(ctx, tx, each, approvers) for each in found]


def withdraw_approval(ctx: Context, ref: str) -> Approval:
    """Make an approval count no more, for good. Raises `NotFound`, and `Conflict` where it was withdrawn before."""
    with ctx.act(Action.APPROVAL_WITHDRAW, target=ref) as tx:
        found = tx.approvals.matching(ctx.project, ref) if ref else []
        if not found:
            raise NotFound(f"There is no approval {ref}.", hint="`intramural approvals` lists them.")
        if len(found) > 1:
            raise InvalidInput(f"{ref} begins the id of more than one approval.", hint="Type a few more letters.")
        if found[0].withdrawn_at is not None:
            raise _known_already(found[0])
        approval = found[0].model_copy(update={"withdrawn_by": ctx.actor.subject, "withdrawn_at": ctx.now()})
        tx.approvals.save(approval)
        tx.concerns.update(target=approval.id, detail={"job": approval.job, "approver": approval.by})
        return approval


def list_approvers(ctx: Context) -> list[Approver]:
    """Return who may approve. Raises `Refused` where others than the administrator could change the list."""
    return list(approvers_of(ctx))


def approval_standing(ctx: Context, tx: Reading, approval: Approval, approvers: tuple[Approver, ...]) -> ApprovalStanding:
    """Tell whether an approval counts now, for everything that it names."""
    job = tx.jobs.get(approval.job)
    try:
        named = read_request(approval.request).objects
    except InvalidInput:
        return ApprovalStanding(approval=approval, objects=(), counts=False, why_not="it is of no request")
    present = _objects(job, tuple(tx.artifacts.all(ctx.project, job.id)), started=None)
    faults = [
        fault_of(approval, Asked(home_name(ctx), job, present.get(each.id, each)), approvers)
        if each.id in present
        else f"there is no {each.id} any more"
        for each in named
    ]
    why_not = next((each for each in faults if each is not None), None)
    return ApprovalStanding(approval=approval, objects=named, counts=why_not is None, why_not=why_not)


def _objects(job: Job, artifacts: tuple[Artifact, ...], *, started: bool | None) -> dict[str, ApprovedObject]:
    """Return what there is to approve of a job: itself while it has not *started*, then what it made; with None both."""
    found: dict[str, ApprovedObject] = {}
    if not started:
        found[job.id] = object_of_job(job)
    if started is not False:
        found |= {each.id: object_of_artifact(each) for each in artifacts}
    return found


def _request(ctx: Context, tx: Reading, job: Job, artifacts: tuple[Artifact, ...]) -> ApprovalRequest:
    started = job.state not in {JobState.QUEUED, JobState.PAUSED}
    objects = tuple(_objects(job, artifacts, started=started).values())
    if job.state is JobState.RUNNING:
        raise Conflict(f"{job.spec.name} is running.", hint="What it makes can be approved when it ended.")
    if not objects:
        raise Conflict(f"{job.spec.name} ended and left nothing to approve.", hint="`intramural why` tells how it ended.")
    return ApprovalRequest(
        home=home_name(ctx),
        project=ctx.project,
        job=job.id,
        name=job.spec.name,
        submitted_by=job.submitted_by,
        label=job.label.words if job.label else None,
        policy=job.policy_digest,
        base=job.spec.base,
        data=job.dataset_label,
        result=one_line(build_report(ctx, tx, job).metrics),
        objects=objects,
        requested_by=ctx.actor.subject,
        requested_at=ctx.now(),
    )


def _person(ctx: Context, job: Job, request: str, signature: str) -> str:
    person = person_of(signature, request, approvers_of(ctx))
    if person is None:
        raise Refused(
            "No key on the list of approvers signed this request.",
            hint=f"The administrator keeps the list in {ctx.approvers.path if ctx.approvers else 'no file here'}; "
            "`intramural approvals approvers` shows it.",
            rule="approvers",
        )
    if person == job.submitted_by:
        raise Refused(f"{person} submitted {job.spec.name}.", hint="Another person must approve it.", rule="approvers")
    return person


def _check_present(ctx: Context, tx: Reading, job: Job, asked: ApprovalRequest) -> None:
    """Raise `Conflict` unless everything that the request tells is so now."""
    artifacts = tuple(each for each in tx.artifacts.all(ctx.project, job.id) if each.id in {one.id for one in asked.objects})
    when = {"requested_by": asked.requested_by, "requested_at": asked.requested_at}
    if _request(ctx, tx, job, artifacts).model_copy(update=when) != asked:
        raise Conflict(
            f"{job.spec.name} is not as the request tells it.", hint="Ask anew: `intramural approvals request`, and sign that."
        )


def _known_already(approval: Approval) -> Conflict:
    if approval.withdrawn_at is not None:
        return Conflict(
            f"That approval was withdrawn by {approval.withdrawn_by}.", hint="A new request, signed, is a new approval."
        )
    return Conflict(f"That approval is there already: {approval.id}.", hint="`intramural approvals` lists them.")
