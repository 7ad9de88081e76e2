"""Verification of a cut: complete, decodable, and not black or silent where the capture is not."""

from dataclasses import replace
from fractions import Fraction

import av
import pytest

from tapemill.core.errors import GateError
from tapemill.core.timing import FrameRange
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.scenes import verify
from tapemill.scenes.verify import AudioStats, check_cut, count_frames
from tests.support.capture_info import capture_of
from tests.support.media.clips import clip_from

SIZE = "size=96x64:rate=25"
RATE_HZ = 8000
FRAMES = 10


@pytest.fixture
def source(tmp_path):
    """A capture that shows something, with one key frame."""
    path = tmp_path / "capture.avi"
    draw(path, f"testsrc2={SIZE}", 40, "-c:v", "mpeg4", "-g", "100", container="avi")
    return path


def draw(path, graph, frames, *coding, tone="anullsrc=r=8000:cl=mono", container="matroska"):
    sources = ["-f", "lavfi", "-i", graph, "-f", "lavfi", "-i", tone]
    length = ["-frames:v", str(frames), "-t", str(frames / 25)]
    form = ["-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", *ffmpeg.BITEXACT]
    arguments = [*sources, *length, *coding, *form, *ffmpeg.output_args(path, container)]
    ffmpeg.run(arguments, concerns=path, timeout_s=60)
    return path


def cut(tmp_path, graph, frames=FRAMES, **how):
    return draw(
        tmp_path / "cut.mkv", f"{graph}{':' if '=' in graph else '='}{SIZE}", frames, "-c:v", "ffv1", "-g", "1", **how
    )


def check(path, source, *, frames=FRAMES, start=15, sound=None, take=None):
    check_cut(
        path,
        target=path.with_name("target.mkv"),
        span=FrameRange(start, start + frames),
        sound=sound,
        source=source,
        take=take or capture_of(source).takes[0],
    )


def test_a_whole_cut_passes(tmp_path, source):
    check(cut(tmp_path, "testsrc2"), source)


def test_frames_are_counted_without_decoding_them(tmp_path):
    path = cut(tmp_path, "testsrc2")
    assert count_frames(path) == FRAMES
    path.write_text("no media")
    with pytest.raises(GateError, match="what was written cannot be used"):
        count_frames(path)


@pytest.mark.parametrize("frames", [FRAMES - 1, FRAMES + 1])
def test_another_number_of_frames_is_refused(tmp_path, source, frames):
    with pytest.raises(GateError, match=f"the cut has {FRAMES} frames, not {frames}") as caught:
        check(cut(tmp_path, "testsrc2"), source, frames=frames)
    assert caught.value.file == tmp_path / "target.mkv"


def test_another_length_of_the_audio_is_refused(tmp_path, source):
    path, samples = cut(tmp_path, "testsrc2"), FRAMES * RATE_HZ // 25
    check(path, source, sound=AudioStats(samples, 0.0))
    with pytest.raises(GateError, match=f"the cut has {samples} samples of audio, not {samples + 1}"):
        check(path, source, sound=AudioStats(samples + 1, 0.0))


def test_silence_is_refused_where_the_capture_is_audible(tmp_path, source):
    samples = FRAMES * RATE_HZ // 25
    with pytest.raises(GateError, match="the written audio is silent"):
        check(cut(tmp_path, "testsrc2"), source, sound=AudioStats(samples, 0.5))
    check(cut(tmp_path, "testsrc2", tone="sine=r=8000"), source, sound=AudioStats(samples, 0.5))


def test_black_is_refused_where_the_capture_shows_something(tmp_path, source):
    with pytest.raises(GateError, match="black or of one colour, and the capture is not there"):
        check(cut(tmp_path, "color=black"), source)


@pytest.mark.parametrize("start", [0, 15, 30])
def test_black_is_right_where_the_capture_is_black(tmp_path, start):
    black = clip_from(tmp_path / "black.mkv", f"color=black:{SIZE},format=yuv420p", frames=40)
    check(cut(tmp_path, "color=black"), black, start=start)


def test_a_capture_that_shows_something_only_outside_of_the_scene_proves_nothing(tmp_path):
    # 15 frames of something, 10 black ones, 15 of something.
    graph = f"testsrc2={SIZE},drawbox=t=fill:color=black:enable='between(n,15,24)',format=yuv420p"
    check(cut(tmp_path, "color=black"), clip_from(tmp_path / "capture.mkv", graph, frames=40))


def test_a_capture_that_cannot_be_read_any_more_proves_nothing(tmp_path, source):
    take = capture_of(source).takes[0]
    source.unlink()
    check(cut(tmp_path, "color=black"), source, take=take)


def test_the_search_for_something_in_the_capture_ends(tmp_path, source, monkeypatch):
    # From the only key frame it is 15 frames to the scene.
    monkeypatch.setattr(verify, "MAX_DECODED", 12)
    check(cut(tmp_path, "color=black"), source)


def test_frames_of_the_capture_that_are_damaged_prove_nothing_and_the_next_does(tmp_path, source):
    damaged = tmp_path / "damaged.avi"
    with av.open(str(source)) as given, av.open(str(damaged), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(each for each in given.demux(video=0) if each.size):
            # The first nine of the scene.
            data = bytes(packet)[:-3] if 15 <= number < 24 else bytes(packet)
            copy = av.Packet(data)
            copy.pts, copy.dts, copy.time_base = packet.dts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, stream
            made.mux(copy)
    take = replace(capture_of(source).takes[0], stream_index=0)
    with pytest.raises(GateError, match="the capture is not there"):
        check(cut(tmp_path, "color=black"), damaged, take=take)
    assert take.rate == Fraction(25)
