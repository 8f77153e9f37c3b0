"""The evidence of a job: signed and valid for tools that are not ours, whole, and without content."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from factories import NOON
from intramural.domain.access import Action, Role
from intramural.domain.cause import Cause, Failure
from intramural.domain.confinement import Level
from intramural.domain.evaluation import Evaluation, Score
from intramural.domain.evidence import Part, compute_of
from intramural.domain.job import Outcome
from intramural.domain.receipt import WallsSummary
from intramural.domain.workload import OUTPUTS, EvaluationEvent, ResolvedEvent, StepEvent
from intramural.errors import Conflict, InvalidInput, Refused, Unavailable
from intramural.pages.evidence_page import SERVES
from intramural.service.approvals import add_approval, request_approval
from intramural.service.audit import verify_audit
from intramural.service.audit_key import AuditKey
from intramural.service.context import ApproversFile
from intramural.service.evidence import export_evidence
from intramural.service.runs import claim_run, collect_artifacts, end_run, prepare_run, record_events
from intramural.service.scope_keys import job_files

AT = NOON.timestamp()
WEIGHTS = b"the adapter's weights, say"


@pytest.fixture
def key(make_context):
    return AuditKey(make_context().home / "keys")


@pytest.fixture
def owner(make_context, key):
    """An owner whose acts are signed, for `a_stored_job` too."""
    return make_context(audit_key=key)


@pytest.fixture
def home(owner, make_context, key):
    """The owner, and the scheduler."""
    return owner, make_context(Role.SYSTEM, audit_key=key)


@pytest.fixture
def ended(home, a_stored_job):
    """A job with two attempts, the second of which succeeded and left an adapter."""
    system = home[1]
    job = a_stored_job()
    for attempt in (1, 2):
        claim = claim_run(system, "me", 60)
        folder = system.runs / claim.run.id
        prepare_run(system, claim, folder)
        record_events(system, claim.run.id, claim.run.lease.fence, 1, events(attempt))
        if attempt == 1:
            end_run(system, claim.run.id, claim.run.lease.fence, Outcome.FAILED, Failure(cause=Cause.KILLED, evidence="9"))
    adapter = folder / OUTPUTS / "adapter"
    adapter.mkdir(parents=True)
    files = job_files(system, job.project, job.id).files
    (adapter / "adapter_model.safetensors").write_bytes(files.body(WEIGHTS, "adapter/adapter_model.safetensors"))
    collect_artifacts(system, claim.run.id, claim.run.lease.fence, folder)
    return end_run(system, claim.run.id, claim.run.lease.fence, Outcome.SUCCEEDED, None)


def events(attempt):
    score = Score(value=0.5, low=0.4, high=0.6, samples=8)
    environment = {"torch": "2.13.0+cpu", "device": "a processor"}
    return [
        ResolvedEvent(at=AT, settings={"lanes": 2}, environment=environment, total_steps=2, total_tokens=10),
        *(
            StepEvent(
                at=AT,
                step=each,
                total_steps=2,
                loss=1.0,
                grad_norm=1.0,
                learning_rate=0.1,
                tokens=100,
                seconds=2.0,
                batch_digest="x",
                memory_bytes=1,
            )
            for each in range(1, attempt + 1)
        ),
        EvaluationEvent(
            at=AT,
            when="after",
            evaluation=Evaluation(system="tuned", samples=8, loss=0.1, scores={"exact_match": score}, generated_tokens=50),
        ),
    ]


@pytest.fixture
def bundle(home, ended, tmp_path):
    export_evidence(home[0], ended.id, tmp_path / "bundle")
    return tmp_path / "bundle"


def document(bundle, name):
    return json.loads((bundle / name).read_bytes())


def key_of(bundle):
    """The public key as another tool takes it from the bundle."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - the test's own reader

    envelope = document(bundle, "provenance.dsse.json")
    public = load_pem_public_key((bundle / "key.pem").read_bytes())
    return SSlibKey.from_crypto(public, keyid=envelope["signatures"][0]["keyid"])


def statement_of(bundle):
    return json.loads(base64.b64decode(document(bundle, "provenance.dsse.json")["payload"]))


def test_the_signature_is_one_for_securesystemslib(bundle):
    envelope = Envelope.from_dict(document(bundle, "provenance.dsse.json"))

    accepted = envelope.verify([key_of(bundle)], threshold=1)

    assert len(accepted) == 1


def test_a_statement_that_was_changed_is_not_signed(bundle):
    changed = document(bundle, "provenance.dsse.json")
    payload = base64.b64decode(changed["payload"]).replace(b"exact", b"Exact").replace(b"bundle", b"Bundle")
    changed["payload"] = base64.b64encode(payload.replace(b'"lanes":2', b'"lanes":3')).decode()

    with pytest.raises(VerificationError):
        Envelope.from_dict(changed).verify([key_of(bundle)], threshold=1)


def test_the_statement_names_every_file_of_the_bundle_and_of_the_artifacts(bundle):
    statement = statement_of(bundle)

    named = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    files = {f"evidence/{each}": each for each in os.listdir(bundle) if each != "provenance.dsse.json"}
    assert named.keys() >= files.keys()
    for name, file in files.items():
        assert named[name] == hashlib.sha256((bundle / file).read_bytes()).hexdigest()
    assert named["adapter/adapter_model.safetensors"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    build = statement["predicate"]["buildDefinition"]
    assert build["internalParameters"]["settings"] == {"lanes": 2}
    assert {"pkg:pypi/torch@2.13.0%2Bcpu"} == {each["uri"] for each in build["resolvedDependencies"] if "uri" in each}
    assert all("digest" in each or "uri" in each for each in build["resolvedDependencies"])


def test_the_bill_of_materials_is_valid(bundle):
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str((bundle / "bom.cdx.json").read_text())

    assert problem is None
    card = document(bundle, "bom.cdx.json")["metadata"]["component"]["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"][1]["confidenceInterval"] == {
        "lowerBound": "0.4",
        "upperBound": "0.6",
    }


def test_the_parts_say_what_is_on_record(bundle, ended):
    assert document(bundle, "run.json")["spec"] == ended.spec.document()
    assert [each["outcome"] for each in document(bundle, "run.json")["attempts"]] == ["failed", "succeeded"]
    compute = document(bundle, "compute.json")
    assert (compute["tokens"], compute["tokens_kept"], compute["attempts"]) == (300, 200, 2)
    assert compute["flop_as_full_training"] == 6 * compute["parameters"] * 300
    assert compute["flop_estimate"] == compute["parameters"] * (4 * 300 + 2 * 50)
    assert document(bundle, "approvals.json")["approvals"] == []
    assert set(document(bundle, "receipt.json")["runs"].values()) == {None}
    scopes = {each["scope"] for each in document(bundle, "keys.json")["keys"]}
    assert scopes == {f"dataset:{ended.dataset_label.partition('@')[0]}", f"job:{ended.id}"}


def test_a_confined_run_is_told_in_numbers(home, ended, tmp_path):
    walls = WallsSummary(level=Level.NAMESPACES, complete=True, allowed=1, refused=2, limits={"processes": "cgroup"})
    with home[0].store.writing() as tx:
        for run in tx.runs.of_job(ended.id):
            tx.runs.save(run.model_copy(update={"walls": walls}))

    export_evidence(home[0], ended.id, tmp_path / "confined")

    receipts = document(tmp_path / "confined", "receipt.json")
    assert receipts["said"] is None
    assert {each["refused"] for each in receipts["runs"].values()} == {2}
    assert "2 allowed, 4 refused" in (tmp_path / "confined" / "index.html").read_text()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="approvers sign with OpenSSH's ssh-keygen")
def test_a_yes_in_a_bundle_is_one_for_ssh_keygen(home, ended, tmp_path):
    (tmp_path / "list").mkdir()
    key, listed = tmp_path / "list" / "bob", tmp_path / "list" / "approvers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    listed.write_text(f"bob {key.with_suffix('.pub').read_text()}")
    listed.chmod(0o644)
    owner = replace(home[0], approvers=ApproversFile(listed, os.getuid()))
    text = request_approval(owner, ended.id).text()
    sign = ["ssh-keygen", "-Y", "sign", "-n", "intramural-approval", "-f", key]
    signature = subprocess.run(sign, input=text, text=True, capture_output=True, check=True, timeout=60).stdout
    add_approval(owner, text, signature)

    export_evidence(owner, ended.id, tmp_path / "bundle")

    part = document(tmp_path / "bundle", "approvals.json")
    (given,) = part["approvals"]
    assert (given["counts"], given["approval"]["by"]) == (True, "user:bob")
    (tmp_path / "signers").write_text("\n".join(part["signers"]) + "\n")
    (tmp_path / "yes.sig").write_text(given["approval"]["signature"])
    check = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "bob", "-n", "intramural-approval", "-s", "yes.sig"]
    request = given["approval"]["request"]
    assert subprocess.run(check, input=request, text=True, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    other = request.replace(ended.id, "job-x")
    assert subprocess.run(check, input=other, text=True, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    assert "user:bob" in (tmp_path / "bundle" / "index.html").read_text()
    assert "object:approve" in [each["entry"]["action"] for each in document(tmp_path / "bundle", "audit.json")["entries"]]


def test_what_was_not_measured_or_stated_is_said_so(bundle):
    assert "Not measured" in document(bundle, "memorisation.json")["said"]
    assert document(bundle, "placement.json")["said"] == "Nobody had stated the region of the machine when a run began."
    assert document(bundle, "approvals.json")["said"] == "Nobody approved anything of this job."
    assert {each["subject"] for each in document(bundle, "access.json")["subjects"]} == {"user:owner", "user:system"}


def test_the_region_is_that_of_when_the_run_began(home, a_stored_job, tmp_path):
    owner, system = home[0], replace(home[1], region="eu-central-1")
    job = a_stored_job()
    claim = claim_run(system, "me", 60)
    end_run(system, claim.run.id, claim.run.lease.fence, Outcome.FAILED, Failure(cause=Cause.USER_CODE, evidence="1"))

    export_evidence(replace(owner, region="us-east-1"), job.id, tmp_path / "bundle")

    part = document(tmp_path / "bundle", "placement.json")
    assert [each["region"] for each in part["runs"]] == ["eu-central-1"]
    assert part["said"] is None
    (began,) = [
        each["entry"]
        for each in document(tmp_path / "bundle", "audit.json")["entries"]
        if each["entry"]["action"] == "run:start"
    ]
    assert began["detail"] == {"region": "eu-central-1"}


def test_every_part_stands_on_the_page_with_what_it_may_serve_for(bundle):
    page = (bundle / "index.html").read_text()

    assert {f"{part}.json" for part in Part} <= set(os.listdir(bundle))
    for part in Part:
        assert f"{part}.json" in page
        assert SERVES[part]


def test_no_key_material_leaves(bundle, home):
    with home[0].read() as tx:
        bodies = [each.wrapped.body for each in tx.scope_keys.all("default")]
    secret = (home[0].home / "keys" / "audit.key").read_text().split("+", 4)[4].strip()  # base64 has plus signs too

    everything = b"".join((bundle / each).read_bytes() for each in os.listdir(bundle))
    assert bodies
    assert all(each.encode() not in everything for each in [*bodies, secret])


def test_the_excerpt_holds_the_act_itself_with_a_proof_under_the_signed_head(bundle, home, ended):
    audit = document(bundle, "audit.json")

    acts = [each["entry"]["action"] for each in audit["entries"]]
    assert acts == ["job:submit", "run:start", "run:end", "run:start", "run:end", "evidence:export"]
    for each in audit["entries"]:
        assert each["head"] is not None
        leaf = hashlib.sha256(b"\0" + bytes.fromhex(each["record"])).hexdigest()
        assert leaf == each["leaf"]
        told = hashlib.sha256(bytes.fromhex(each["salt"]) + each["body"].encode()).digest()
        assert bytes.fromhex(each["record"]).endswith(told)
    assert verify_audit(home[0]).entries >= len(acts)


def test_the_page_claims_nothing(bundle):
    page = (bundle / "index.html").read_text()

    assert "no statement that any law or standard is met" in page
    for claim in ("complies", "compliant", "certified", "conforms"):
        assert claim not in page.lower()
    assert "http" not in page.replace("http-equiv", "")


def test_a_name_in_a_bundle_is_no_markup(home, ended, tmp_path):
    odd = ended.model_copy(update={"submitted_by": "user:<script>alert(1)</script>"})
    with home[0].store.writing() as tx:
        tx.jobs.save(odd)

    export_evidence(home[0], ended.id, tmp_path / "odd")

    assert "<script" not in (tmp_path / "odd" / "index.html").read_text()


def test_a_job_that_did_not_end_has_no_evidence_yet(home, a_stored_job, tmp_path):
    job = a_stored_job()

    with pytest.raises(Conflict):
        export_evidence(home[0], job.id, tmp_path / "early")

    assert not (tmp_path / "early").exists()


def test_a_folder_with_something_in_it_is_left_alone(home, ended, tmp_path):
    (tmp_path / "mine").write_text("mine")

    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(InvalidInput):
            export_evidence(home[0], ended.id, folder)

    assert (tmp_path / "mine").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_said_so_and_nothing_is_left(home, ended, tmp_path):
    (tmp_path / "file").write_text("a file, no folder")

    with pytest.raises(InvalidInput):
        export_evidence(home[0], ended.id, tmp_path / "file" / "bundle")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "file", "home"]


def test_without_the_signing_key_nothing_is_written(home, ended, make_context, tmp_path):
    (home[0].home / "keys" / "audit.key").unlink()

    with pytest.raises(Unavailable):
        export_evidence(make_context(audit_key=AuditKey(home[0].home / "keys")), ended.id, tmp_path / "bundle")

    assert not (tmp_path / "bundle").exists()


def test_a_viewer_may_not(make_context, home, ended, tmp_path):
    viewer = make_context(Role.VIEWER, audit_key=AuditKey(home[0].home / "keys"))

    with pytest.raises(Refused):
        export_evidence(viewer, ended.id, tmp_path / "bundle")

    with home[0].read() as tx:
        assert tx.audit.newest("default", 1)[0].action is Action.EVIDENCE_EXPORT


def test_estimates():
    took = compute_of(1_000, 10, 8, 5, run_seconds=1, training_seconds=1, attempts=1, device=None)

    assert (took.flop_as_full_training, took.flop_estimate) == (60_000, 50_000)
