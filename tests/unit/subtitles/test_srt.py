import pytest

from tapemill.core.errors import SceneError
from tapemill.subtitles.srt import Cue, as_srt, as_vtt, read_srt
from tests.support.project import ROOT

SAMPLES = ROOT.parent / "shared" / "samples"


def read(tmp_path, content):
    path = tmp_path / "0000100.srt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_srt(path)


def test_what_is_written_is_read_again(tmp_path):
    cues = [Cue(0, 830, "one"), Cue(3_600_000, 3_601_001, "two\n<i>lines</i>"), Cue(3_700_000, 3_701_000, "in\n1984")]
    assert read(tmp_path, as_srt(cues)) == cues


def test_files_as_people_and_editors_write_them(tmp_path):
    odd = "\ufeff0\n00:00:5,5 --> 00:00:6.000 X1:10\nGrün \n\n\n7\n0:00:01,000-->0:00:02,000\nfirst\n1984\n"
    odd = odd.replace("\n", "\r\n")
    assert read(tmp_path, odd) == [Cue(1000, 2000, "first\n1984"), Cue(5500, 6000, "Grün")]
    assert read(tmp_path, odd.encode("utf-16")) == read(tmp_path, odd)
    assert read(tmp_path, odd.replace("\r\n", "\r")) == read(tmp_path, odd)


def test_nothing_and_cues_of_nothing(tmp_path):
    assert read(tmp_path, "") == []
    assert read(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\n\n2\n00:00:03,000 --> 00:00:04,000\n<font>\n") == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("hello\n", 1),
        ("1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:03,000 -> 00:00:04,000\nb\n", 6),
        ("1\n00:00:01,000 --> 00:00:0x,000\na\n", 2),
        ("1\n00:00:02,000 --> 00:00:01,000\na\n", 2),
        ("1\n00:00:01,000 --> 00:00:02,000\nGr\u00fcn\n".encode("latin-1"), 3),
        (b"RIFF\x00\x01\xff\xfe", 1),
    ],
)
def test_unclear_files_are_refused_with_file_and_line(tmp_path, content, line):
    with pytest.raises(SceneError, match=rf"line {line} of(.|\n)*0000100\.srt"):
        read(tmp_path, content)


def test_empty_subtitles_are_legal_files():
    assert as_srt([]) == ""
    assert as_vtt([]).strip() == "WEBVTT"


def test_vtt_escapes_text():
    assert as_vtt([Cue(1000, 2500, "A & B\n<i>1 < 2</i>")]) == (
        "WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.500\nA &amp; B\n<i>1 &lt; 2</i>\n\n"
    )


def test_braces_are_text(tmp_path):
    assert "{so it is}" in as_srt([Cue(0, 1000, "{so it is}")])


@pytest.mark.skipif(not SAMPLES.exists(), reason="the folder of sample media is not there")
def test_sample_with_short_fields_and_index_from_zero():
    cues = read_srt(SAMPLES / "subtitles.srt")
    assert [cue.text for cue in cues] == ["Red!", "More Red!", "Green!", "Blue", "More Blue!"]
    assert (cues[2].start_ms, cues[2].stop_ms) == (5000, 6000)
