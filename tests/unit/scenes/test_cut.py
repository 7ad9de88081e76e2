"""Every frame of a capture is in exactly one scene, once, in order; each beep is where it was."""

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from tapemill.core.errors import GateError, InputError, SceneError
from tapemill.core.job_warnings import CUT_WITH_TAG
from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import Crop
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.ffmpeg.version import ffmpeg_build
from tapemill.media.field_holes import HOLES_TAG, Hole, holes_from_tag
from tapemill.scenes import cut as cutting
from tapemill.scenes.cut import cut_scene
from tests.support.capture_info import capture_of
from tests.support.media.captures import copied, look, make
from tests.support.media.clean_aperture import add_clean_aperture
from tests.support.media.frame_codes import beep_times, irregular_times, make_capture, read_numbers
from tests.support.media.packet_damage import MJPEG, spoil
from tests.support.progress_log import facts, progressed, tell_all

FRAMES = 120
CAPTURES = {
    "25i.mkv": {"interlaced": "tff"},
    "30i.mkv": {"interlaced": "bff", "rate": Fraction(30000, 1001), "size": (360, 240)},
    "50p long gop.mp4": {"rate": Fraction(50), "gop": 250, "b_frames": 3},
    "25p.ts": {"picture_start_s": Fraction(1, 2)},
    "late sound.mkv": {"sound_start_s": Fraction(37, 100)},
    "late picture.mp4": {"picture_start_s": Fraction(63, 100), "gop": 250},
    "late picture.mkv": {"picture_start_s": Fraction(63, 100)},
    "variable.mkv": {"rate": Fraction(30), "times_s": irregular_times(FRAMES, Fraction(30)), "gop": 40},
    "variable.mp4": {"rate": Fraction(30), "times_s": irregular_times(FRAMES, Fraction(30), seed=8), "gop": 100},
    "dvd.mpg": {"codec": "mpeg2video", "interlaced": "tff"},
    "open gop.ts": {"codec_options": {"preset": "superfast", "x264-params": "open-gop=1"}, "gop": 24, "b_frames": 3},
    "old.avi": {"codec": "mpeg4", "gop": 50, "b_frames": 0},
    "lossless.mkv": {"codec": "ffv1", "interlaced": "bff"},
}


def cut(source, capture, start, stop, target, *, sound=True, threads=2, on_failure="stop"):
    return told_cut(source, capture, start, stop, target, sound=sound, threads=threads, on_failure=on_failure)[0]


def told_cut(source, capture, start, stop, target, *, sound=True, threads=2, on_failure="stop"):
    """The scene, and what is said of it."""
    notices = cut_scene(
        source=source,
        take=capture.takes[0],
        sound_stream=capture.sounds[0].stream_index if sound and capture.sounds else None,
        span=FrameRange(start, stop),
        target=target,
        picture=capture.picture,
        threads=threads,
        on_failure=on_failure,
    )
    return target, [(notice.kind, notice.reason) for notice in notices]


@pytest.mark.parametrize("name", CAPTURES)
def test_scenes_hold_each_frame_once_and_each_beep_at_its_place(tmp_path, name):
    truth = make_capture(tmp_path / name, **{"frames": FRAMES, "size": (360, 288), **CAPTURES[name]})
    capture = capture_of(truth.path, interlaced=truth.interlaced, rate=truth.rate)
    shown = truth.shown(capture.frames)
    edges = [0, 1, 41, 97, capture.frames - 2, capture.frames]

    for start, stop in pairwise(edges):
        scene = cut(truth.path, capture, start, stop, tmp_path / f"{start:07d}.mkv")

        readings = read_numbers(scene, fields=truth.interlaced)
        assert [r.number for r in readings] == truth.numbers(shown[start:stop])
        half = 2 if truth.interlaced else 1
        times = [round(float(r.time_s) * 1000) for r in readings[::half]]
        assert times == pytest.approx([1000 * k / truth.rate for k in range(stop - start)], abs=1)
        # A beep that is cut in two is no onset to look for.
        begin_s = float(start / truth.rate)
        beeps = [float(b) - begin_s for b in truth.beeps_s if begin_s <= b < stop / truth.rate - Fraction(1, 100)]
        if beeps:
            heard = beep_times(scene)
            assert heard[-len(beeps) :] == pytest.approx(beeps, abs=1e-3)


def test_the_first_frame_of_a_gap_repeats_the_frame_before(tmp_path):
    rate = Fraction(25)
    times = [Fraction(k, 25) for k in [*range(30), *range(60, 90)]]
    truth = make_capture(tmp_path / "gap.mkv", rate=rate, times_s=times, size=(320, 240))

    scene = cut(truth.path, capture_of(truth.path, rate=rate), 45, 65, tmp_path / "scene.mkv")

    assert [r.number for r in read_numbers(scene)] == [29] * 15 + [30, 31, 32, 33, 34]


@pytest.mark.parametrize("name", ["clock.mkv", "clock.ts"])
def test_frames_of_a_jittering_clock_are_each_in_the_tape_once(tmp_path, name):
    """Up to 0.65 frames of jitter: rounding alone would put two frames on one place, and repeat another."""
    jitter_ms = np.random.default_rng(3).uniform(-18, 18, FRAMES) + 8 * np.sin(np.arange(FRAMES) / 9)
    times = [Fraction(0), *(Fraction(40 * k + 20 + round(jitter_ms[k]), 1000) for k in range(1, FRAMES))]
    truth = make_capture(tmp_path / name, times_s=times, size=(320, 240), gop=40, sound_start_s=None)
    capture = capture_of(truth.path)

    assert (capture.takes[0].rate, capture.frames, capture.takes[0].drops) == (25, FRAMES, 0)
    assert capture.takes[0].origins
    for start, stop in pairwise([0, 1, 33, 99, FRAMES]):
        scene, warnings = told_cut(truth.path, capture, start, stop, tmp_path / f"{start}.mkv")
        assert [r.number for r in read_numbers(scene)] == list(range(start, stop))
        assert not warnings


def test_sound_is_exact_to_the_sample_and_covers_the_span(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", size=(320, 240), rate=Fraction(30000, 1001), frames=FRAMES)
    capture = capture_of(truth.path)

    parts = []
    for start, stop in pairwise([0, 33, 100, FRAMES]):
        scene = cut(truth.path, capture, start, stop, tmp_path / f"{start}.mkv")
        with av.open(str(scene)) as container:
            parts += [frame.to_ndarray() for frame in container.decode(audio=0)]
    with av.open(str(truth.path)) as container:
        whole = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)

    joined = np.concatenate(parts, axis=1)
    assert joined.shape[1] == round(FRAMES * Fraction(1001, 30000) * 48000)
    np.testing.assert_array_equal(joined, whole[:, : joined.shape[1]])


def test_a_seek_that_lands_late_is_noticed_and_mended(tmp_path, monkeypatch):
    truth = make_capture(tmp_path / "a.mp4", size=(320, 240), frames=FRAMES, gop=25)
    capture = capture_of(truth.path)
    monkeypatch.setattr(cutting, "SEEKS_BACK_S", (Fraction(-2), Fraction(-1), None))

    scene = cut(truth.path, capture, 60, 80, tmp_path / "scene.mkv")

    assert [r.number for r in read_numbers(scene)] == list(range(60, 80))


def test_pictures_that_cannot_be_decoded_are_stood_in_for(tmp_path, caplog):
    truth = make_capture(tmp_path / "whole.mkv", codec="ffv1", gop=1, size=(320, 240), frames=90)
    damaged = tmp_path / "damaged.mkv"
    with av.open(str(truth.path)) as source, av.open(str(damaged), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            spoilt = av.Packet(b"\xff" * 40) if 70 <= number < 75 else packet
            spoilt.pts, spoilt.dts, spoilt.time_base = packet.pts, packet.dts, packet.time_base
            spoilt.is_keyframe, spoilt.stream = True, stream
            target.mux(spoilt)

    scene = cut(damaged, capture_of(damaged), 60, 80, tmp_path / "scene.mkv")

    numbers = [r.number for r in read_numbers(scene)]
    assert numbers == [*range(60, 70), *[69] * 5, *range(75, 80)]
    assert "5 of 20 frames cannot be decoded" in caplog.text


def test_frames_that_are_not_there_are_an_error_and_leave_nothing(tmp_path):
    truth = make_capture(tmp_path / "a.mp4", size=(320, 240), frames=50)
    capture = capture_of(truth.path)

    with pytest.raises(GateError, match="0 frames were decoded of the 20 from frame 70 on"):
        cut(truth.path, capture, 70, 90, tmp_path / "scene.mkv")

    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_same_bytes_on_any_number_of_threads(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", frames=30, interlaced="tff")
    capture = capture_of(truth.path, interlaced="tff")

    files = [cut(truth.path, capture, 5, 25, tmp_path / f"{n}.mkv", threads=n).read_bytes() for n in (1, 2, 4, 1)]

    assert len(set(files)) == 1


FORMATS = {
    "10 bit.mkv": ["-pix_fmt", "yuv422p10le", "-c:v", "ffv1"],
    "full range.avi": ["-pix_fmt", "yuvj420p", "-c:v", "mjpeg"],
    "alpha.mkv": ["-pix_fmt", "yuva420p", "-c:v", "ffv1"],
    "odd's size.mp4": ["-vf", "scale=321:243", "-pix_fmt", "yuv444p", "-c:v", "libx264"],
    "one by one.mkv": ["-vf", "scale=1:1", "-pix_fmt", "yuv444p", "-c:v", "ffv1"],
    "grey.mkv": ["-pix_fmt", "gray", "-c:v", "ffv1"],
    '-rgb "quoted".mkv': ["-pix_fmt", "bgr0", "-c:v", "ffv1"],
    "ntsc dv.avi": ["-s", "720x480", "-pix_fmt", "yuv411p", "-r", "30000/1001", "-c:v", "dvvideo"],
}


@pytest.mark.parametrize("name", FORMATS)
def test_samples_stay_what_they_are(tmp_path, name):
    path = draw(tmp_path / name, FORMATS[name])
    capture = capture_of(path)

    parts = [
        cut(path, capture, start, stop, tmp_path / f"{start}.mkv") for start, stop in ((0, 4), (4, capture.frames))
    ]

    assert [planes for part in parts for planes in decoded(part)] == decoded(path)
    with av.open(str(parts[0])) as container:
        assert container.streams.video[0].average_rate == capture.picture.rate
        is_full = container.streams.video[0].codec_context.color_range == 2
        assert is_full == (capture.picture.colour.range == "pc" or "rgb" in name)


def test_turned_pictures_come_out_upright_with_their_shape(tmp_path):
    path = draw(tmp_path / "flat.mp4", ["-vf", "scale=320:240,setsar=16/11", "-c:v", "libx264"])
    turned = tmp_path / "turned.mp4"
    ffmpeg.run(
        [
            *ffmpeg.input_args(path, options=["-display_rotation", "90"]),
            "-c",
            "copy",
            *ffmpeg.output_args(turned, "mp4"),
        ],
        concerns=path,
        timeout_s=60,
    )

    scene = cut(turned, capture_of(turned), 2, 6, tmp_path / "scene.mkv")

    with av.open(str(scene)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert (frame.width, frame.height, frame.rotation) == (240, 320, 0)
        # Matroska keeps the shape as a whole number of display lines.
        assert float(stream.sample_aspect_ratio) == pytest.approx(11 / 16, rel=0.002)


def tag_of(scene, name="TAPEMILL_STANDS_IN"):
    with av.open(str(scene)) as container:
        return container.metadata.get(name)


def test_a_cut_says_how_it_was_made_and_not_where(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", frames=30, interlaced="tff")
    capture = capture_of(truth.path, interlaced="tff")
    other = tmp_path / "elsewhere" / "b.mkv"
    other.parent.mkdir()
    other.write_bytes(truth.path.read_bytes())

    one = cut(truth.path, capture, 5, 25, tmp_path / "one.mkv", threads=1)
    two = cut(other, capture, 5, 25, tmp_path / "two.mkv", threads=4)

    assert one.read_bytes() == two.read_bytes()
    said = json.loads(tag_of(one, CUT_WITH_TAG))
    assert said["ffmpeg"] == ffmpeg_build().id
    assert " -i file:{capture} " in said["command"]
    assert "start_pts=5:end_pts=25" in said["command"]
    assert said["command"].endswith(" file:{cut}")


@pytest.mark.parametrize(
    ("damaged", "numbers", "said"),
    [
        # Nothing more is decoded after frame 60, and nothing before it.
        (range(60, 120), [*range(40, 60), *[59] * 20], "only 20 of 40"),
        (range(60), [*[60] * 20, *range(60, 80)], "only 20 of 40"),
        (range(120), [None] * 40, "none of 40 frames can be decoded; the scene is black"),
    ],
)
def test_a_scene_that_cannot_be_decoded_fails_or_is_filled_up(tmp_path, damaged, numbers, said):
    truth = make_capture(tmp_path / "a.avi", frames=FRAMES, size=(360, 288), **MJPEG)
    capture = capture_of(truth.path)
    spoil(truth.path, damaged)
    target = tmp_path / "scene.mkv"

    with pytest.raises(SceneError):
        cut(truth.path, capture, 40, 80, target)
    assert not target.exists()
    scene, told = told_cut(truth.path, capture, 40, 80, target, on_failure="keep_original")

    assert [reading.number for reading in read_numbers(scene)] == numbers
    assert [kind for kind, _ in told] == ["stands_in"]
    assert said in told[0][1]
    assert tag_of(scene) == told[0][1]
    found = capture_of(scene)
    assert (found.picture.width, found.picture.height, found.takes[0].frames) == (360, 288, 40)
    assert found.sounds


def test_a_capture_that_has_gone_is_no_damaged_scene(tmp_path):
    truth = make_capture(tmp_path / "a.avi", frames=20, size=(64, 64), **MJPEG)
    capture = capture_of(truth.path)
    truth.path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        cut(truth.path, capture, 0, 10, tmp_path / "scene.mkv", sound=False, on_failure="keep_original")
    assert not (tmp_path / "scene.mkv").exists()


def test_damage_in_the_middle_is_filled_up_and_told_whatever_the_policy(tmp_path):
    truth = make_capture(tmp_path / "a.avi", frames=FRAMES, size=(360, 288), **MJPEG)
    capture = capture_of(truth.path)
    spoil(truth.path, range(50, 53))

    scene, told = told_cut(truth.path, capture, 40, 80, tmp_path / "scene.mkv")

    assert [r.number for r in read_numbers(scene)] == [*range(40, 50), 49, 49, 49, *range(53, 80)]
    assert told == [("stands_in", "3 of 40 frames cannot be decoded; their neighbours replace them")]
    assert tag_of(scene) == told[0][1]
    assert "file:{capture}" in json.loads(tag_of(scene, CUT_WITH_TAG))["command"]
    whole, told = told_cut(truth.path, capture, 60, 80, tmp_path / "whole.mkv")
    assert (tag_of(whole), told) == (None, [])


def draw(path, options):
    """Ten frames of a moving test picture."""
    ffmpeg.run(
        ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=0.4", "-bitexact", *options, f"file:{path}"],
        concerns=path,
        timeout_s=60,
    )
    return path


def decoded(path):
    """The visible samples of each frame, plane by plane."""
    frames = []
    with av.open(f"file:{path}") as container:
        for frame in container.decode(video=0):
            bytes_each = (frame.format.components[0].bits + 7) // 8
            packed = 4 if len(frame.planes) == 1 and len(frame.format.components) > 1 else 1
            planes = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1) for plane in frame.planes]
            widths = [plane.width * bytes_each * packed for plane in frame.planes]
            frames.append(b"".join(plane[:, :width].tobytes() for plane, width in zip(planes, widths, strict=True)))
    return frames


def test_it_tells_how_many_pictures_are_cut(tmp_path, monkeypatch, caplog):
    tell_all(monkeypatch, caplog)
    truth = make_capture(tmp_path / "a.mkv", frames=FRAMES, size=(96, 64))
    # What is skipped before the scene does not count.
    cut(truth.path, capture_of(truth.path), 70, 100, tmp_path / "cut.mkv")
    assert (progressed(caplog)[-1]["frames"], progressed(caplog)[-1]["total_frames"]) == (30, 30)
    assert facts(caplog) == {"frames": 30}


def test_holes_of_an_interlaced_scene_are_in_a_tag(tmp_path):
    times = [Fraction(k, 25) for k in range(40) if k not in (10, 11, 30)]
    truth = make_capture(tmp_path / "a.mkv", codec="ffv1", times_s=times, interlaced="tff", size=(160, 96))
    capture = capture_of(truth.path, interlaced="tff", rate=Fraction(25))

    whole, one, none = (
        tag_of(cut(truth.path, capture, start, stop, tmp_path / f"{start}.mkv"), HOLES_TAG)
        for start, stop in ((0, 40), (11, 20), (12, 30))
    )
    progressive = replace(capture, picture=replace(capture.picture, field_order="progressive"))
    other = tag_of(cut(truth.path, progressive, 0, 40, tmp_path / "progressive.mkv"), HOLES_TAG)

    assert holes_from_tag(whole) == (Hole(10, 12, 9), Hole(30, 31, 29))
    assert holes_from_tag(one) == (Hole(0, 1, -2),)
    assert (none, other) == (None, None)


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_what_the_container_crops_is_in_the_cut(tmp_path, suffix):
    # An odd number of lines: a crop would also exchange the fields.
    source = make(tmp_path / "a.mov", seconds=1, picture="testsrc2=s=350x286:r=25", sound=False)
    add_clean_aperture(source, width=332, height=276, right=1, down=-2)
    source = source if suffix == ".mov" else copied(source, tmp_path / "a.mkv")
    capture = look(source, field_order="tff")
    assert capture.takes[0].container_crop == Crop(10, 3, 332, 276)
    assert (capture.picture.width, capture.picture.height) == (350, 286)

    scene = cut(source, capture, 5, 20, tmp_path / "scene.mkv")

    assert decoded(scene) == decoded(source)[5:20]


def test_lines_of_vbi_are_not_in_the_cut(tmp_path):
    source = draw(tmp_path / "a.mkv", ["-vf", "scale=720:608", "-c:v", "ffv1", "-pix_fmt", "yuv420p"])
    capture = look(source, field_order="tff")
    assert (capture.picture.width, capture.picture.height) == (720, 576)

    scene = cut(source, capture, 2, 6, tmp_path / "scene.mkv")

    luma, chroma = 720 * 608, 360 * 304
    for found, whole in zip(decoded(scene), decoded(source)[2:6], strict=True):
        planes = whole[:luma], whole[luma : luma + chroma], whole[luma + chroma :]
        assert found == planes[0][32 * 720 :] + planes[1][16 * 360 :] + planes[2][16 * 360 :]
