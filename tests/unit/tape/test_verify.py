"""Verification of a finished tape: frames, times, audio, subtitles and chapters are those of its parts."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tapemill.core.errors import GateError
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.tape import Chapter, SubtitleTrack, TapeDescription, TapeSettings, mux_tape, verify
from tapemill.tape.concat import check_compatible
from tests.support.media.beeps import run

RATE = Fraction(25)
LENGTHS = (20, 30)


def clip(path, frames):
    video = ["-f", "lavfi", "-i", f"testsrc2=s=64x48:r=25:d={frames / 25}"]
    coding = ["-c:v", "ffv1", "-level", 3, "-pix_fmt", "yuv420p", *ffmpeg.BITEXACT]
    run(*video, *coding, *ffmpeg.output_args(path, "matroska"))
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    clips = [clip(folder / f"{frames}.mkv", frames) for frames in LENGTHS]
    sound = folder / "sound.mka"
    run(
        "-f", "lavfi", "-i", "sine=r=8000:d=2", "-c:a", "flac", *ffmpeg.BITEXACT, *ffmpeg.output_args(sound, "matroska")
    )
    cues = folder / "T.srt"
    cues.write_text("1\n00:00:00,500 --> 00:00:01,000\none\n\n2\n00:00:01,200 --> 00:00:01,700\ntwo\n")
    return {
        "plan": check_compatible(clips=clips, frames=LENGTHS, rate=RATE),
        "audio": sound,
        "subtitles": [SubtitleTrack(cues, "en", "English")],
        "chapters": [Chapter(Fraction(0), "One")],
    }


@pytest.fixture(scope="module", params=["mkv", "mp4"])
def tape(request, parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tape")
    clips = [parts["audio"].with_name(f"{frames}.mkv") for frames in LENGTHS]
    target = folder / f"T.{request.param}"
    mux_tape(
        clips=clips,
        clip_frames=LENGTHS,
        rate=RATE,
        target=target,
        description=TapeDescription(),
        settings=TapeSettings(request.param, chapters=True, chapter_shortest_s=60, subtitles_on=False),
        **{name: part for name, part in parts.items() if name != "plan"},
    )
    return target


def test_a_tape_of_all_its_parts_passes(tape, parts):
    verify.verify_tape(tape, **parts)


def moved(sound, target, times):
    """Copy the audio with other times: an expression of ffmpeg, in units of milliseconds."""
    run("-i", f"file:{sound}", "-c", "copy", "-bsf:a", f"setts=ts={times}", *ffmpeg.output_args(target, "matroska"))
    return target


@pytest.mark.parametrize(
    ("times", "message"),
    [("TS+500", "start of the audio in s: "), ("if(lt(N\\,2)\\,TS\\,TS+500)", "end of the audio in s: ")],
)
def test_audio_at_another_time_is_refused_though_its_bytes_are_the_same(tape, parts, tmp_path, times, message):
    other = moved(parts["audio"], tmp_path / "moved.mka", times)
    with pytest.raises(GateError, match=message):
        verify.verify_tape(tape, **(parts | {"audio": other}))


def test_audio_of_another_length_is_refused(tape, parts, tmp_path):
    shorter = tmp_path / "shorter.mka"
    run("-i", f"file:{parts['audio']}", "-t", 1, "-c", "copy", *ffmpeg.output_args(shorter, "matroska"))
    with pytest.raises(GateError, match="bytes of audio: "):
        verify.verify_tape(tape, **(parts | {"audio": shorter}))


def test_missing_tracks_cues_and_chapters_are_named_with_both_numbers(tape, parts):
    with pytest.raises(GateError, match="audio tracks: 1, expected 0"):
        verify.verify_tape(tape, **(parts | {"audio": None}))
    with pytest.raises(GateError, match=r"cues of each subtitle track: \[2\], expected \[2, 2\]"):
        verify.verify_tape(tape, **(parts | {"subtitles": parts["subtitles"] * 2}))
    with pytest.raises(GateError, match="chapters: 1, expected 2"):
        verify.verify_tape(tape, **(parts | {"chapters": parts["chapters"] * 2}))


def test_another_number_of_frames_and_another_rate_are_refused(tape, parts):
    clips = [parts["audio"].with_name(f"{frames}.mkv") for frames in LENGTHS]
    with pytest.raises(GateError, match="frames: 50, expected 20"):
        verify.verify_tape(tape, **(parts | {"plan": check_compatible(clips=clips[:1], frames=LENGTHS[:1], rate=RATE)}))
    with pytest.raises(GateError, match="time of frame 1 in units of "):
        verify.verify_tape(tape, **(parts | {"plan": replace(parts["plan"], rate=Fraction(24))}))
