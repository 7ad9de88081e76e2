"""Pages: nobody's text runs in them, and the same values make the same bytes."""

import base64
import re
import xml.etree.ElementTree as ET

import pytest

from tapemill.report import charts
from tapemill.report.page import format_duration, format_position, readable, render
from tapemill.report.runs import RunView, TimelineBar, TimelineRow
from tapemill.report.subtitle_confidence import DroppedSegment, ReviewedCue, SubtitleReview
from tapemill.report.tape_history import StageWork
from tapemill.report.tape_metadata import TapeMetadata

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\x1b[31m\x00\u202egnp.\"'&"
TAGGED = TapeMetadata(HOSTILE, HOSTILE, 768, ((HOSTILE, HOSTILE),))


def subtitles_page():
    cues = (ReviewedCue(0.0, 1.0, HOSTILE, f"{HOSTILE}\nsecond line", 0.3), ReviewedCue(2.0, 3.0, "a", "b", None))
    words = SubtitleReview(cues, (DroppedSegment(5.0, HOSTILE, HOSTILE, HOSTILE),), (HOSTILE,))
    chart = charts.confidence(cues, 10.0)
    return render("subtitles.html", tape=TAGGED, words=words, doubtful=0.5, score=None, chart=chart)


def test_text_of_strangers_is_shown_and_never_run():
    page = subtitles_page()
    body = page.partition("<body>")[2]
    assert "<script" not in body
    assert "<img src=x" not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "{{ 7*7 }}" in body
    assert "49" not in re.sub(r'src="[^"]*"', "", body)
    assert not re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e]", page)
    assert "\\x1b[31m\\x00\\u202egnp." in body
    assert "second line" in body


def test_a_page_lets_no_script_run_but_its_own():
    page = subtitles_page()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    still = {"time_s": 1.0, "before": "AAAA", "after": "AAAA", "mark": ""}
    slider = render("before_after.html", tape=TAGGED, stills=[still], is_smaller=False)
    allowed = re.search(r"script-src 'sha256-([^']+)'", slider.replace("&#39;", "'"))[1]
    (script,) = re.findall(r"<script>(.*?)</script>", slider, re.DOTALL)
    import hashlib

    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == allowed.replace("&#43;", "+")


def run_view(device="", failed=True):
    bars = (TimelineBar(0, 5, "enhance", False), TimelineBar(5, 6, "subtitles", failed))
    rows = (
        TimelineRow("gpu0", bars, True, device, 0.25),
        TimelineRow("scenes", (TimelineBar(0, 1, "scenes", False),), False),
    )
    return RunView("r", None, 6.0, rows)


def test_charts_are_svg_and_the_same_each_time():
    for draw in (
        lambda: charts.timeline(run_view()),
        lambda: charts.work([StageWork("enhance", 3, 12.5, 30.0)]),
        lambda: charts.confidence([ReviewedCue(0, 1, "a", "b", 0.9)], 60.0),
        lambda: charts.measures(
            [{"frame": 5, "measures": {name: [2.0, 1.0] for name in charts.TITLES}}], rate=25.0, length_s=10.0
        ),
    ):
        svg = draw()
        assert ET.fromstring(svg).tag.endswith("svg")
        assert svg == draw()


def test_a_lanes_name_is_no_formula_and_no_markup():
    rows = (TimelineRow("gpu$x_1$<b>\x07", (TimelineBar(0, 1, "enhance", False),), True, "", 0.0),)
    svg = charts.timeline(RunView("r", None, 1.0, rows))
    text = "".join(ET.fromstring(svg).itertext())
    assert "gpu$x_1$<b>\\x07" in text


def test_a_night_of_scenes_stays_a_small_picture():
    bars = tuple(TimelineBar(n, n + 0.9, "enhance", False) for n in range(5000))
    svg = charts.timeline(RunView("r", None, 5000.0, (TimelineRow("gpu0", bars, True, "", 0.1),)))
    assert len(svg) < 300_000


def test_escapes_leave_what_languages_need():
    assert readable("مرحبا\u200c نیم‌فاصله 日本 é ©") == "مرحبا\u200c نیم‌فاصله 日本 é ©"
    assert readable("a\tb\r\n") == "a\\tb\\r\\n"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2"), (3723.4, "1:02:03.4")]
)
def test_places_on_a_tape(seconds, shown):
    assert format_position(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1.24, "1.2 s"), (90, "1.5 min"), (3599, "1 h 00 min"), (5400, "1 h 30 min")]
)
def test_lengths(seconds, shown):
    assert format_duration(seconds) == shown
