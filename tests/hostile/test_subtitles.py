"""Subtitles by an enemy's hand: out comes text with times that every player reads alike, or the line is named."""

import re
import unicodedata
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tapemill.core.errors import SceneError
from tapemill.media.probe import open_media
from tapemill.subtitles import join_subtitles
from tapemill.subtitles.sanitise import safe_text, vtt_text
from tapemill.subtitles.srt import read_srt
from tests.hostile.time_limits import must_end

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DURATION_S = Fraction(30)
PIECES = st.sampled_from(
    ["00:00:01,000 --> 00:00:02,000", "00:00:01", "-->", "\n", "\n\n", "\r", "1", "<i>", "</i>", "<b", "<script>",
     "<font color='#fff'>", "{\\an8}", "{\\p1}m 0 0", "\\N", "\\h", "&amp;", "&lt;", "WEBVTT", "NOTE x", "STYLE",
     "\u202e", "\u2066", "\u2028", "\x85", "\x00", "\x1b[2J", "\ufeff", "99:99:99,999", "00:00:03,0 --> 00:00:01,0",
     "9" * 30, "<v Bob>", "<00:00:01.000>", "::cue", "<!--", "a > b < c"]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=30).map("".join)


def joined(tmp_path, *texts):
    """The tape's SRT and WebVTT of scenes of 30 s."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.srt")
        paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    srt, vtt = tmp_path / "tape.srt", tmp_path / "tape.vtt"
    join_subtitles(
        cues=paths,
        starts_s=[DURATION_S * number for number in range(len(paths))],
        durations_s=[DURATION_S] * len(paths),
        srt=srt,
        vtt=vtt,
        gap_s=Fraction(1, 10),
    )
    return srt, vtt


def is_clean(srt: Path, vtt: Path, scenes: int) -> int:
    """Both files hold the same cues, in order, apart, within the tape, free of tricks. Returns how many."""
    found = {}
    for path in (srt, vtt):
        text = path.read_text(encoding="utf-8")
        bad = [c for c in text if c != "\n" and (unicodedata.category(c) in {"Cc", "Cs"} or c in "\u202d\u202e\ufeff")]
        assert not bad, bad
        blocks = [block for block in re.split(r"\n\n+", text.strip()) if block and block != "WEBVTT"]
        times = []
        for block in blocks:
            _, timing, *lines = block.split("\n")
            start, stop = re.fullmatch(r"([\d:.,]+) --> ([\d:.,]+)", timing).groups()
            times.append((_seconds(start), _seconds(stop)))
            assert lines
            assert all(line.strip() for line in lines)
            assert "-->" not in "".join(lines)
            body = "\n".join(lines)
            # Only the three tags that all players know are left, each closed.
            tags = re.findall(r"<[A-Za-z/!?][^>]*>?", body)
            assert set(tags) <= {"<i>", "</i>", "<b>", "</b>", "<u>", "</u>"}, tags
            assert "{\\" not in body.replace(" ", "")
        assert times == sorted(times)
        assert all(0 <= start < stop <= scenes * DURATION_S for start, stop in times), times
        assert all(before[1] <= after[0] for before, after in pairwise(times)), times
        found[path.suffix] = times
    assert found[".srt"] == found[".vtt"]
    if not found[".srt"]:
        return 0
    with open_media(srt, demuxer="srt") as container:
        assert len([packet for packet in container.demux() if packet.size]) == len(found[".srt"])
    with av.open(str(vtt), format="webvtt") as container:
        assert len([packet for packet in container.demux() if packet.size]) == len(found[".srt"])
    return len(found[".srt"])


def _seconds(text):
    hours, minutes, seconds = text.replace(",", ".").rjust(12, "0").split(":")
    return Fraction(hours or 0) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)


@QUICK
@given(TEXTS)
@example("1\n00:00:01,000 --> 00:00:02,000\n<i><b>a</i></b> {\\an8}<script>x</script> & --> <00:00:01.000>")
@example("1\n00:00:01,000 --> 00:00:02,000\n<<i>script>alert(1)<</i>/script>")
@example("1\n00:00:01,000 --> 00:00:02,000\n{{\\an8}\\an8}a{\\\n}b")
def test_any_text_is_read_or_refused_by_line(tmp_path, text):
    try:
        files = joined(tmp_path, text)
    except SceneError as error:
        assert re.search(r"line \d+", str(error))
        assert "0.srt" in str(error)
        return
    is_clean(*files, scenes=1)


@settings(QUICK, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 40_000), TEXTS), max_size=8))
def test_cues_that_overlap_in_any_way_come_out_apart(tmp_path, cues):
    def block(start, length, text):
        stamps = (f"00:{ms // 60_000:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}" for ms in (start, start + length))
        said = " ".join(safe_text(text, markup=False).split())
        return f"1\n{' --> '.join(stamps)}\na {said}\n\n"

    half = len(cues) // 2
    scenes = ["".join(block(*cue) for cue in part) for part in (cues[:half], cues[half:])]
    is_clean(*joined(tmp_path, *scenes), scenes=2)


@QUICK
@given(TEXTS, st.booleans())
@example("<<i>i>a", True)
@example("{\\{\\b}b}", True)
@example("--\u202e>", True)
@example("-\ufeff-> a", True)
@example("a > b < c<i>a > b < c", False)
@example("a < c</i>a > b", True)
def test_safe_text_stays_what_it_is(text, markup):
    safe = safe_text(text, markup=markup)
    assert safe_text(safe, markup=markup) == safe
    assert "-->" not in safe
    assert not re.search(r"\{\s*\\", safe), safe
    assert "<s" not in vtt_text(safe)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1\n00:00:02,000 --> 00:00:01,000\na\n", 2),
        ("1\n00:00:01,000 --> 00:00:02,000\na --> b\n", 3),
        ("1\n00:00:01,000 --> 00:00:99999999999999999999,000\na\n", 2),
        ("1\n-1:00:01,000 --> 00:00:02,000\na\n", 2),
        ("1\n00:00:01,000 -> 00:00:02,000\na\n", 2),
        ("nonsense\n", 1),
        (b"1\n00:00:01,000 --> 00:00:02,000\n\xff\xff\n", 3),
        (b"\xff\xfe1\x000", 1),
    ],
)
def test_what_cannot_be_meant_is_named_by_its_line(tmp_path, text, line):
    with pytest.raises(SceneError, match=rf"line {line} of the subtitles(.|\n)*0\.srt"):
        joined(tmp_path, text)


def test_times_beyond_the_scene_are_left_out(tmp_path):
    late, long = "98:00:00,000 --> 99:59:59,999\nlate", "00:00:29,000 --> 99:59:59,999\nlong"
    files = joined(tmp_path, f"1\n{late}\n\n2\n{long}\n")
    assert is_clean(*files, scenes=1) == 1
    assert "late" not in files[0].read_text()


@pytest.mark.parametrize(
    "text",
    [
        "<a" * 100_000,
        "<" + "a" * 300_000,
        "<" + " " * 300_000,
        "{\\" * 300_000,
        "{" + " " * 300_000,
        "<i>" * 50_000,
        "\\N" * 150_000,
        "9" * 300_000,
        "00:" * 300_000,
        " " * 300_000 + "x",
        "{" * 300_000,
        "{}" * 150_000,
        "a\n" * 150_000,
        "a\n1\n" * 60_000,
        "\u202e" * 300_000 + "a",
    ],
    ids=lambda text: repr(text[:6]),
)
def test_hundreds_of_kilobytes_of_anything_comes_to_an_end(tmp_path, text):
    with must_end(), suppress(SceneError):
        is_clean(*joined(tmp_path, f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n"), scenes=1)


def test_thousands_of_cues_that_all_overlap_come_to_an_end(tmp_path):
    cue = "1\n00:00:01,000 --> 00:00:02,000\nagain\n\n"
    with must_end():
        assert is_clean(*joined(tmp_path, cue * 30_000), scenes=1) == 1


def test_a_hundred_megabytes_of_subtitles_are_not_read(tmp_path):
    with (tmp_path / "0.srt").open("wb") as stream:
        stream.truncate(100 << 20)
    with pytest.raises(SceneError, match=r"larger than 4 MiB(.|\n)*0\.srt"):
        read_srt(tmp_path / "0.srt")
