import json
from fractions import Fraction

import pytest

from tapemill.core.errors import SceneError
from tapemill.core.job_warnings import JobWarning
from tapemill.subtitles import join_subtitles
from tapemill.subtitles.srt import Cue, as_srt, read_srt

NTSC = Fraction(30000, 1001)


def join(tmp_path, *scenes, gap_s=Fraction(2, 25)):
    """Scenes as (start_s, duration_s, cues or the text of an SRT); returns the cues of the tape."""
    paths = []
    for number, (_, _, cues) in enumerate(scenes):
        path = tmp_path / f"{number:07d}.srt"
        path.write_text(cues if isinstance(cues, str) else as_srt(cues), encoding="utf-8")
        paths.append(path)
    join_subtitles(
        cues=paths,
        starts_s=[Fraction(start) for start, _, _ in scenes],
        durations_s=[Fraction(duration) for _, duration, _ in scenes],
        srt=tmp_path / "T01.srt",
        vtt=tmp_path / "T01.vtt",
        gap_s=gap_s,
    )
    return read_srt(tmp_path / "T01.srt")


def test_scenes_that_have_no_subtitles_because_they_failed_are_told(tmp_path):
    paths = []
    for number, text in enumerate(("", "", as_srt([Cue(0, 1000, "Filled in by hand.")]))):
        path = tmp_path / f"{number:07d}.srt"
        path.write_text(text)
        failure = {"left_empty": {"error": "SceneError", "message": "no sound"}} if number else {"heard": {}}
        path.with_suffix(".json").write_text(json.dumps(failure))
        paths.append(path)
    notices = join_subtitles(
        cues=paths,
        starts_s=[Fraction(0), Fraction(2), Fraction(4)],
        durations_s=[Fraction(2)] * 3,
        srt=tmp_path / "T01.srt",
        vtt=tmp_path / "T01.vtt",
        gap_s=Fraction(0),
    )
    assert notices == [JobWarning("empty", "SceneError: no sound", scene="0000001")]


def test_times_are_exact_at_the_end_of_a_long_tape(tmp_path):
    start_s = 215_784 / NTSC
    [cue] = join(tmp_path, (start_s, 300 / NTSC, [Cue(1234, 2345, "late")]))
    # 215784 frames last 7199.9928 s.
    assert (cue.start_ms, cue.stop_ms) == (7_201_227, 7_202_338)


def test_rounding_happens_once(tmp_path):
    scenes = [(300 * n / NTSC, 300 / NTSC, [Cue(1000, 2000, f"cue {n}")]) for n in range(700)]
    cues = join(tmp_path, *scenes)
    assert all(abs(cue.start_ms - (300 * n / NTSC + 1) * 1000) <= Fraction(1, 2) for n, cue in enumerate(cues))


def test_cues_stay_within_their_scene(tmp_path):
    cues = join(
        tmp_path,
        (0, 10, [Cue(9000, 12_000, "too long"), Cue(10_000, 11_000, "too late")]),
        (10, 5, [Cue(2000, 3000, "next")]),
    )
    assert cues == [Cue(9000, 10_000, "too long"), Cue(12_000, 13_000, "next")]


def test_gap_across_a_scene_border(tmp_path):
    cues = join(tmp_path, (0, 10, [Cue(8000, 10_000, "last")]), (10, 5, [Cue(0, 1000, "first")]))
    assert cues == [Cue(8000, 9920, "last"), Cue(10_000, 11_000, "first")]


def test_hand_made_overlaps_end_sooner_or_share_a_cue(tmp_path):
    scene = [Cue(1000, 5000, "one"), Cue(3000, 4000, "two"), Cue(3050, 6000, "three"), Cue(7000, 8000, "four")]
    assert join(tmp_path, (0, 10, scene)) == [
        Cue(1000, 2920, "one"),
        Cue(3000, 6000, "two\nthree"),
        Cue(7000, 8000, "four"),
    ]


def test_one_frame_cues_of_people_are_not_lost(tmp_path):
    assert join(tmp_path, (0, 10, [Cue(1000, 1040, "flash"), Cue(1120, 2000, "next")])) == [
        Cue(1000, 1040, "flash"),
        Cue(1120, 2000, "next"),
    ]


def test_text_of_people_is_made_safe_for_players(tmp_path):
    srt = "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>A & B</i> <script>x</script>\n"
    join(tmp_path, (0, 10, srt))
    assert "<i>A & B</i> x" in (tmp_path / "T01.srt").read_text()
    assert "<i>A &amp; B</i> x" in (tmp_path / "T01.vtt").read_text()
    assert (tmp_path / "T01.vtt").read_text().startswith("WEBVTT\n\n")


def test_a_tape_in_which_nobody_speaks(tmp_path):
    assert join(tmp_path, (0, 10, ""), (10, 10, "")) == []
    assert (tmp_path / "T01.srt").read_bytes() == b""


def test_a_malformed_scene_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(SceneError, match=r"line 2 of(.|\n)*0000001\.srt"):
        join(tmp_path, (0, 10, ""), (10, 10, "1\n00:00:01,000 -> 00:00:02,000\nx\n"))
    assert not (tmp_path / "T01.srt").exists()
