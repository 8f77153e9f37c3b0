"""Every rule that work can break is asked at the plan, at the submission and at the start; labels go with what is made."""

from dataclasses import replace

import pytest

from factories import a_spec
from intramural.domain.cause import Cause
from intramural.domain.confinement import Level
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import JobState
from intramural.domain.label import Label
from intramural.domain.policy_rules import RULES, Moment
from intramural.domain.workload import OUTPUTS
from intramural.errors import NeedsApproval, Refused
from intramural.service.artifacts import export_artifact
from intramural.service.jobs import resolve_job, show_job, submit_job
from intramural.service.policies import set_policy
from intramural.service.quarantines import quarantine_object
from intramural.service.runs import claim_run, collect_artifacts, prepare_run
from intramural.service.scope_keys import job_files


class Unscanned(DatasetVersion):
    """A version as it was stored before there were scans."""

    def document(self):
        return {name: value for name, value in super().document().items() if name != "findings"}


def stored_as(ctx, kind=DatasetVersion, **fields):
    """Store the data anew."""
    with ctx.store.writing() as tx:
        tx.datasets.replace("default", kind.model_validate({**tx.datasets.find("default", "tickets").document(), **fields}))


BREAKS = {
    "quarantine": lambda ctx: quarantine_object(ctx, "data:tickets@1", "a complaint"),
    "label": lambda ctx: (
        set_policy(ctx, "restricted: {isolation: landlock, spot: true}"),
        stored_as(ctx, classification="restricted"),
    ),
    "region": lambda ctx: set_policy(ctx, "every_class: {regions: [eu-central-1]}"),
    "isolation": lambda ctx: set_policy(ctx, "every_class: {isolation: namespaces}"),
    "gpus": lambda ctx: set_policy(ctx, "every_class: {isolation: none, gpus: false}"),
    "keys": lambda ctx: set_policy(ctx, "every_class: {key_providers: [aws]}"),
    "log": lambda ctx: set_policy(ctx, "every_class: {log: [metrics]}"),
    "retention": lambda ctx: (set_policy(ctx, "every_class: {retention_days: 1}"), ctx.now.wait(3 * 86_400)),
    "redaction": lambda ctx: (set_policy(ctx, "every_class: {redaction: {email: mask}}"), stored_as(ctx, Unscanned)),
    "suites": lambda ctx: set_policy(ctx, "every_class: {suites: [memorisation]}"),
    "spot": lambda ctx: set_policy(ctx, "every_class: {spot: false}"),
}
NEVER = {"egress"}
"""No job can ask for a destination, so a run is never given more than the lists: unit tests ask this one."""
SAYS = {"label": {"classification": "confidential"}}
"""What the spec must say for the rule to have something against it."""


def test_no_rule_is_left_out():
    assert {each.name for each in RULES if Moment.USE in each.moments} == BREAKS.keys() | NEVER


@pytest.mark.parametrize("rule", BREAKS)
def test_a_rule_is_asked_at_plan_at_submit_and_at_start(rule, owner, system, a_stored_job, decisions):
    a_stored_job()  # so that base and data are there
    level = Level.NONE if rule == "gpus" else Level.LANDLOCK
    here = {"level": lambda: level, "spot": True}
    owner, system = replace(owner, **here), replace(system, **here)
    if level is Level.NONE:
        set_policy(owner, "every_class: {isolation: none}")
    said = SAYS.get(rule, {})
    job = submit_job(owner, a_spec(name="before", **said))
    BREAKS[rule](owner)

    (denial,) = resolve_job(owner, a_spec(**said)).verdict.denials
    assert (denial.rule, bool(denial.reason), bool(denial.change)) == (rule, True, True)
    with pytest.raises(Refused) as caught:
        submit_job(owner, a_spec(**said))
    assert (caught.value.about["rule"], caught.value.hint) == (rule, denial.change)
    assert decisions()[-1] == ("job:submit", "refused", rule)
    assert claim_run(system, "one", 15) is None
    report = show_job(owner, job.id)
    assert (report.state, report.cause) == (JobState.FAILED, Cause.REFUSED)
    assert f"`{rule}`" in report.evidence
    assert ("run:start", "refused", rule) in decisions()


@pytest.mark.parametrize("said", [None, "restricted"])
def test_the_strictest_label_goes_with_all_that_a_job_makes_and_rules_what_leaves(said, owner, system, a_stored_job, tmp_path):
    """Data that is confidential, in a job that may call itself restricted: adapter, merged model and log carry the stricter."""
    set_policy(owner, "restricted: {approvals: 1}")
    a_stored_job(classification=said)
    claim = claim_run(system, "one", 15)
    folder = system.runs / claim.run.id
    prepare_run(system, claim, folder)
    sealed = job_files(system, claim.job.project, claim.job.id).files
    for name in ("adapter/a.safetensors", "merged/m.safetensors"):
        (folder / OUTPUTS / name).parent.mkdir(parents=True)
        (folder / OUTPUTS / name).write_bytes(sealed.body(b"weights", name))

    made = collect_artifacts(system, claim.run.id, claim.run.lease.fence, folder)

    assert {each.kind for each in made} >= {"adapter", "merged_model"}
    assert {each.label for each in made} == {Label(classification=said or "confidential")}
    for number, each in enumerate(made):
        if said is None:
            export_artifact(owner, each.id, tmp_path / str(number))
        else:
            with pytest.raises(NeedsApproval):
                export_artifact(owner, each.id, tmp_path / str(number))
