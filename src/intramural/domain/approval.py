"""
An approval: a person's signed yes to named objects of a job, each by its digest.

What is signed is a request, a text that names the job, who submitted it, the policy it
was accepted under and the objects. An approval counts where the present job and object
are those that the text names, the key is one that the list of approvers gives to a
person, and that person is not who submitted the job. All of it is asked each time:
nothing that is stored is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import StringConstraints, ValidationError

from intramural.domain.artifact import Artifact
from intramural.domain.job import Job
from intramural.domain.ssh_signature import SshKey, signer_of
from intramural.domain.value import Digest, Instant, JobId, ProjectId, Value, digest_of, digest_of_bytes
from intramural.errors import InvalidInput

NAMESPACE = "intramural-approval"
"""What `ssh-keygen -Y sign -n` is told."""
LARGEST_REQUEST = 1 << 20
_PERSON = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_PURPOSE = f'namespaces="{NAMESPACE}"'
_LINE_HINT = f"A line is `LOGIN [{_PURPOSE}] ssh-ed25519 KEY [COMMENT]`, as ssh-keygen reads allowed signers."


class ApprovedKind(StrEnum):
    """What a request may name."""

    JOB = "job"
    """Work that waits, approved before it starts."""
    ARTIFACT = "artifact"


class ApprovedObject(Value):
    """One thing that is approved."""

    kind: ApprovedKind
    id: str
    digest: Digest
    what: str
    """In a word, such as `adapter`."""


class ApprovalRequest(Value):
    """What an approver reads and signs."""

    version: int = 1
    home: str
    """The name of the key that signs the home's audit trail, so that a yes in one home is none in another."""
    project: ProjectId
    job: JobId
    name: str
    submitted_by: str
    label: str | None
    """How private the data is, in words."""
    policy: Digest | None
    base: str
    data: str
    result: str | None
    """What was measured, in one line."""
    objects: tuple[ApprovedObject, ...]
    requested_by: str
    requested_at: Instant

    def text(self) -> str:
        """Return the exact text that is signed."""
        return json.dumps(self.document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


class Approval(Value):
    """A request that somebody signed, as the platform keeps it."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    project: ProjectId
    job: JobId
    by: str
    """Who signed, as the list of approvers had it then: `user:bob`."""
    key: str
    """The key's line."""
    request: str
    signature: str
    added_by: str
    added_at: Instant
    withdrawn_by: str | None = None
    withdrawn_at: Instant | None = None


class ApprovalStanding(Value):
    """An approval, and whether it counts now."""

    approval: Approval
    objects: tuple[ApprovedObject, ...]
    counts: bool
    why_not: str | None = None


class Approver(Value):
    """A person and a key that is theirs."""

    person: str
    """`user:bob`"""
    key: str
    fingerprint: str


class Asked(NamedTuple):
    """What an approval must be of, to count."""

    home: str
    job: Job
    object: ApprovedObject


def read_request(text: str) -> ApprovalRequest:
    """Read a request. Raises `InvalidInput` for another text."""
    try:
        request = ApprovalRequest.model_validate_json(text)
    except ValidationError:
        request = None
    if request is None or request.version != 1 or request.text() != text:
        raise InvalidInput("That is no request for an approval.", hint="`intramural approvals request JOB -o FILE` writes one.")
    return request


def read_approvers(text: str, *, where: str) -> tuple[Approver, ...]:
    """Read the list of approvers. Raises `InvalidInput` with the line of the first mistake."""
    found: list[Approver] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        person, *rest = words
        purpose = rest.pop(0) if rest and rest[0].startswith("namespaces=") else _PURPOSE
        if purpose != _PURPOSE:
            raise InvalidInput(f"{where}, line {number}: the key is for another purpose.", hint=_LINE_HINT)
        try:
            key = SshKey.read(rest[0], rest[1])
        except (IndexError, ValueError):
            raise InvalidInput(f"{where}, line {number}: there is no Ed25519 key.", hint=_LINE_HINT) from None
        if not _PERSON.fullmatch(person):
            raise InvalidInput(f"{where}, line {number}: it does not begin with a login name.", hint=_LINE_HINT)
        if any(each.key == key.line for each in found):
            raise InvalidInput(
                f"{where}, line {number}: the key is another line's too.", hint="Give every person a key of their own."
            )
        found.append(Approver(person=f"user:{person}", key=key.line, fingerprint=key.fingerprint))
    return tuple(found)


def approval_id(request: str, key: SshKey) -> str:
    """Return the id of a yes to that text by that key: the same yes, given again, is the same approval."""
    return digest_of_bytes(key.blob + request.encode()).removeprefix("sha256:")[:16]


def object_of_job(job: Job) -> ApprovedObject:
    """Return a job that waits as what is approved: all that decides what it will do."""
    frozen = {
        "spec": job.spec_digest,
        "base": job.base_digest,
        "data": job.dataset_digest,
        "policy": job.policy_digest,
        "label": job.label.document() if job.label else None,
    }
    return ApprovedObject(kind=ApprovedKind.JOB, id=job.id, digest=digest_of(frozen), what="start")


def object_of_artifact(artifact: Artifact) -> ApprovedObject:
    """Return an artifact as what is approved."""
    return ApprovedObject(kind=ApprovedKind.ARTIFACT, id=artifact.id, digest=artifact.digest, what=artifact.kind.value)


def fault_of(approval: Approval, asked: Asked, approvers: Iterable[Approver]) -> str | None:
    """Say why an approval does not count for what is *asked*; none where it does."""
    if approval.withdrawn_at is not None:
        return "it was withdrawn"
    person = person_of(approval.signature, approval.request, approvers)
    if person is None:
        return "no key on the list of approvers signed it"
    if approval.id != approval_id(approval.request, signer_of(approval.signature, approval.request.encode(), NAMESPACE)):
        return "it stands under another id than its own"
    if person == asked.job.submitted_by:
        return f"{person} submitted the job"
    return _fault_of_text(approval.request, asked)


def _fault_of_text(text: str, asked: Asked) -> str | None:
    """Say what in the text that was signed is not so now; none where all is."""
    try:
        request = read_request(text)
    except InvalidInput:
        return "it is of no request"
    job = asked.job
    told = (request.home, request.project, request.job, request.submitted_by, request.policy, request.label, request.data)
    label = job.label.words if job.label else None
    if told != (asked.home, job.project, job.id, job.submitted_by, job.policy_digest, label, job.dataset_label):
        return "it is of another job, or the job was changed since"
    if asked.object not in request.objects:
        return f"it does not name {asked.object.id} with the digest it has now"
    return None


def persons_for(approvals: Iterable[Approval], asked: Asked, approvers: tuple[Approver, ...]) -> tuple[str, ...]:
    """Return who approved what is *asked*, each person once."""
    counted = [each for each in approvals if fault_of(each, asked, approvers) is None]
    return tuple(sorted({person_of(each.signature, each.request, approvers) or "" for each in counted}))


def person_of(signature: str, request: str, approvers: Iterable[Approver]) -> str | None:
    """Return whose key signed the request; none where it is nobody's on the list."""
    try:
        key = signer_of(signature, request.encode(), NAMESPACE)
    except ValueError:
        return None
    return next((each.person for each in approvers if each.key == key.line), None)
