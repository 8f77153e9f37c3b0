"""Entries in the words of other systems: valid by their schema, and one line each whatever a name holds."""

import json
import re

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from factories import a_digest, an_audit_entry
from intramural.connectors.ocsf import UNMAPPED, VERSION, ocsf_line
from intramural.connectors.siem import cef, syslog
from intramural.domain.access import Action
from intramural.domain.audit import Decision, Origin
from intramural.domain.audit_chain import NUMBERS, Link, microseconds

ORIGIN = Origin(host="gpu-1", uid=1000, pid=77)
HOSTILE = 'x\n<13>1 - forged |="\\]\r\x1b[31m\u2028 act=none'


def a_link(seq=3, **fields):
    entry = an_audit_entry(**{"origin": ORIGIN, "seq": seq, **fields})
    body = entry.body().encode()
    return Link(seq, microseconds(entry.at), NUMBERS[entry.kind], body, b"s" * 16, b"c" * 32, b"l" * 32)


def ocsf(link):
    return json.loads(ocsf_line(link, bytes(32)))


@pytest.fixture(scope="module")
def api_activity():
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION)).get_class_schema(class_name="api_activity", profiles=[])
    return Draft202012Validator(schema)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("decision", list(Decision))
def test_every_action_is_a_valid_api_activity(api_activity, action, decision):
    rule = "role:viewer" if decision is Decision.REFUSED else None
    event = ocsf(a_link(action=action, decision=decision, rule=rule, digest=a_digest()))

    assert [each.message for each in api_activity.iter_errors(event)] == []
    assert event["api"]["operation"] == action
    assert event["status"] == ("Failure" if rule else "Success")
    assert event["type_uid"] == 600300 + event["activity_id"]


@pytest.mark.parametrize(
    "link",
    [
        a_link()._replace(body=None, salt=None),
        a_link(origin=None, target=None),
        a_link(origin=Origin(host="far", address="192.0.2.7")),
        a_link(target=HOSTILE),
    ],
)
def test_an_entry_that_says_little_or_much_is_valid_too(api_activity, link):
    assert [each.message for each in api_activity.iter_errors(ocsf(link))] == []


def test_a_line_is_one_and_no_name_in_it_begins_its_last_member():
    line = ocsf_line(a_link(target=f"{HOSTILE}{UNMAPPED.decode()}{{}}"), bytes(32))

    assert line.count(b"\n") == 1
    assert line.count(UNMAPPED) == 1
    assert json.loads(line)["resources"][0]["name"].endswith('"unmapped":{}')


def test_the_schema_refuses_what_is_wrong(api_activity):
    event = ocsf(a_link())

    assert list(api_activity.iter_errors({**event, "activity_id": 7}))
    assert list(api_activity.iter_errors({key: value for key, value in event.items() if key != "actor"}))


def test_a_reader_of_ocsf_finds_who_what_when_and_from_where():
    event = ocsf(a_link(digest=a_digest()))

    assert event["actor"] == {"user": {"name": "user:alice", "uid": "1000"}, "process": {"pid": 77}}
    assert event["src_endpoint"] == {"hostname": "gpu-1"}
    assert event["resources"] == [{"name": "router", "uid": a_digest()}]
    assert event["time"] == 1793620800000


def test_cef_has_a_header_of_seven_parts_and_pairs():
    line = cef(a_link(decision=Decision.REFUSED, rule="role:viewer"))

    header, extension = line.rsplit("|", 1)
    assert header.split("|")[:3] == ["CEF:0", "intramural", "intramural"]
    assert header.split("|")[4:] == ["job:submit", "job:submit", "5"]
    assert "suser=user:alice suid=1000 spid=77 shost=gpu-1 reason=role:viewer" in extension
    assert "rt=1793620800000 externalId=3 cat=refusal outcome=refused" in extension


def test_syslog_has_the_form_of_rfc_5424():
    line = syslog(a_link())

    found = re.fullmatch(r"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) \[intramural@\d+ (.+)\] (\S+)", line)
    assert found.groups()[:6] == ("110", "2026-11-02T12:00:00.000000Z", "gpu-1", "intramural", "77", "job:submit")
    assert 'seq="3" kind="change" subject="user:alice" decision="allowed" object="router"' in found[7]
    assert syslog(a_link(decision=Decision.REFUSED)).startswith("<108>1 ")


@pytest.mark.parametrize("form", [cef, syslog])
def test_a_name_cannot_begin_a_line_or_a_field_of_its_own(form):
    line = form(a_link(target=HOSTILE, subject=HOSTILE, origin=Origin(host=HOSTILE, uid=1, pid=2)))

    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    if form is cef:
        assert " act=" not in line.replace("\\=", "")
    else:
        assert re.search(r'object="(?:[^"\\\]]|\\["\\\]])*"', line)


@pytest.mark.parametrize("form", [cef, syslog])
def test_a_pruned_entry_keeps_its_place(form):
    line = form(a_link()._replace(body=None, salt=None))

    assert "pruned" in line
    assert "3" in line
    assert "alice" not in line
