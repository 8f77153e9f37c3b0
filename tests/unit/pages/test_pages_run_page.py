"""The run page: it says the result first, escapes everything and needs nothing from outside."""

import math
import re
from html.parser import HTMLParser

import pytest
from page_reports import a_failed_report, a_queued_report, a_report, a_running_report, an_evaluation, measured

from intramural.domain.evaluation import Evaluation
from intramural.domain.job import JobState
from intramural.domain.report import CurvePoint, Measured
from intramural.pages.run_page import markdown_text, run_html, run_markdown

EVERY_STATE = {
    "succeeded": a_report(),
    "queued": a_queued_report(),
    "running": a_running_report(),
    "failed": a_failed_report(),
    "paused": a_running_report(state=JobState.PAUSED),
    "cancelled": a_queued_report(state=JobState.CANCELLED, cause="cancelled", evidence="cancelled on request"),
    "no base or data stored": a_report(base=None, data=None),
    "one step": a_report(curve=a_report().curve[:1]),
    "diverged": a_report(
        curve=tuple(
            CurvePoint(step=n, loss=math.nan, grad_norm=math.inf, learning_rate=0.1, tokens_per_second=1) for n in (1, 2)
        )
    ),
    "nothing measured": a_report(metrics=Measured(), curve=()),
}
HOSTILE = (
    "</title></style><script>alert(1)</script>\"'><img src=https://evil.example/x onerror=alert(1)>`| [x](https://evil.example)"
)
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Reader(HTMLParser):
    """Collects tags and attributes, and checks that every element closes in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("report", EVERY_STATE.values(), ids=EVERY_STATE.keys())
def test_every_state_is_a_well_formed_page_that_needs_nothing_from_outside(report):
    page = Reader(run_html(report))

    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    assert not [
        each
        for each in page.attributes
        if each[1] in {"src", "href", "xlink:href", "action", "style"} or each[1].startswith("on")
    ]
    assert not re.search(r"url\(|@import|https?://", run_html(report))


@pytest.mark.parametrize("report", EVERY_STATE.values(), ids=EVERY_STATE.keys())
def test_every_state_has_a_markdown_page(report):
    text = run_markdown(report)

    assert text.startswith("# tickets-router: ")
    assert "\n\n\n\n" not in text


def hostile_report():
    return a_failed_report(
        name=HOSTILE,
        job_id=HOSTILE,
        evidence=HOSTILE,
        next_step=HOSTILE,
        phase=HOSTILE,
        submitted_by=HOSTILE,
        notices=(HOSTILE,),
        settings={HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        phase_seconds={HOSTILE: 1.0},
        metrics=measured(before=an_evaluation(HOSTILE, (0.1, 0.0, 0.2)), baselines=(Evaluation(system=HOSTILE, samples=1),)),
    )


def test_no_value_can_break_out_of_the_page():
    page = Reader(run_html(hostile_report()))

    assert not {"script", "img"} & set(page.tags)
    assert not [each for each in page.attributes if each[1].startswith("on") or each[1] in {"src", "href"}]


def test_no_value_can_break_out_of_the_markdown():
    text = run_markdown(hostile_report())

    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\[x\]", text)
    rows = [line for line in text.splitlines() if line.startswith("|") and "script" in line]
    assert rows
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {3, 4, 5}


def test_markdown_text_stays_on_its_line_and_in_its_cell():
    assert markdown_text("a|b\n# c `d` <b>") == r"a\|b \# c \`d\` &lt;b&gt;"


def test_the_result_comes_first_with_its_interval_and_the_baseline():
    text = run_markdown(a_report())

    assert text.splitlines()[0] == "# tickets-router: Queue accuracy rose from 0 % to 84 %."
    assert "78\u201389 %" in text
    assert "The best simple baseline (TF-IDF + logistic regression) reaches 88 %: the two cannot be told apart" in text


def test_the_page_of_a_failed_run_names_cause_evidence_and_next_step():
    page = run_html(a_failed_report())

    assert "Failed: the machine ran out of memory." in page
    assert "signal 9; the control group counted one out-of-memory kill" in page
    assert "then <code>intramural resume</code>." in page


def test_the_page_of_a_running_job_tells_how_far_it_is():
    assert "Training: step 84 of 200, about 1 min 10 s left." in run_markdown(a_running_report())


def test_the_page_of_a_run_on_a_gpu_tells_its_memory():
    assert "Peak GPU memory" in run_html(a_report(peak_gpu_memory_bytes=3 * 2**30))
    assert "GPU" not in run_html(a_report())


def test_the_page_tells_how_to_load_the_adapter_and_where_the_run_went_on():
    page = run_html(a_report())

    assert "intramural artifact export art_adap1" in page
    assert "resumed from step 100" in page
    assert "PeftModel.from_pretrained" in page


def test_a_hundred_thousand_steps_make_a_small_page():
    curve = tuple(
        CurvePoint(step=n, loss=n % 7, grad_norm=1, learning_rate=0.1, tokens_per_second=300 + n % 5) for n in range(1, 100_001)
    )

    assert len(run_html(a_report(curve=curve))) < 500_000


def test_a_loss_of_zero_throughout_is_drawn_on_an_axis_from_zero():
    flat = tuple(CurvePoint(step=n, loss=0.0, grad_norm=0.0, learning_rate=0.1, tokens_per_second=1) for n in range(1, 9))

    page = run_html(a_report(curve=flat))

    assert [each for each in re.findall(r'<text class="tick"[^>]*>([^<]*)<', page) if each.startswith("-")] == []


def test_on_a_narrow_page_every_bar_has_its_name_above_it_and_no_number_breaks():
    page = run_html(a_report())

    broad, narrow = re.search(r'<div class="broad">(.*?)</div><div class="narrow">(.*?)</div>', page, re.DOTALL).groups()
    assert re.findall(r"\d+ %", narrow)
    assert set(re.findall(r'class="name"[^>]*>([^<]*)<', broad)) == set(re.findall(r'class="name"[^>]*>([^<]*)<', narrow))
    assert re.search(r"td\.number[^{}]*\{[^}]*white-space: nowrap", page)
    on_telephones = re.search(r"@media \(max-width: 40rem\) \{(.*?)\n\}", page, re.DOTALL)[1]
    assert ".broad { display: none; }" in on_telephones
    assert ".narrow { display: block; }" in on_telephones
