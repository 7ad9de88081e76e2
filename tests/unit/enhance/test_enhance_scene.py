import hashlib
import json
import os
import shlex
import subprocess
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from tapemill.core.errors import GateError, SceneError, ToolFailed
from tapemill.core.timing import milliseconds
from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene, plan_output_format
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.ffmpeg.version import ffmpeg_build
from tapemill.media.packets import frame_count, scan_packets
from tapemill.media.probe import probe
from tests.support.media.clips import LOSSLESS, PLAIN, clip_from, clip_of, facts_of, field_scene, samples
from tests.support.progress_log import facts, progressed, tell_all

WIDTH, HEIGHT = 160, 96
MOVING = "testsrc=size={size}:rate=25,scroll=horizontal=0.01,noise=alls=5:allf=t,format={format}"


def enhanced(folder, clip, frames, settings=LOSSLESS, on_failure="stop", **known):
    target, record = folder / "out" / "clip.mkv", folder / "out" / "clip.json"
    enhance_scene(
        clip=clip,
        target=target,
        record=record,
        picture=facts_of(clip, **known),
        frames=frames,
        settings=settings,
        device=CPU,
        on_failure=on_failure,
    )
    return target, json.loads(record.read_text())


def levels(clip, size):
    """Median luma of each frame."""
    pixel_format = probe(clip).picture.pixel_format
    data = samples(clip, pixel_format)
    return [int(np.median(row[: size[0] * size[1]])) for row in data]


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_bob_shows_both_fields_of_each_frame_in_their_order(tmp_path, order):
    clip = field_scene(tmp_path / "scene.mkv", order, 12)
    target, record = enhanced(tmp_path, clip, 12, field_order=order)
    # The first and the last moment have one neighbour only.
    assert levels(target, (WIDTH, HEIGHT))[1:-1] == pytest.approx([20 + 5 * n for n in range(1, 23)], abs=2)
    assert (record["frames_in"], record["frames_out"], record["rate"]) == (12, 24, "50/1")


def test_single_shows_the_first_field_of_each_frame(tmp_path):
    clip = field_scene(tmp_path / "scene.mkv", "tff", 12)
    target, _ = enhanced(tmp_path, clip, 12, replace(LOSSLESS, deinterlace="single"), field_order="tff")
    assert levels(target, (WIDTH, HEIGHT))[1:] == pytest.approx([20 + 10 * n for n in range(1, 12)], abs=2)


@pytest.mark.parametrize("frames", [1, 2, 12])
def test_a_progressive_scene_of_an_interlaced_tape_is_doubled(tmp_path, frames):
    clip = field_scene(tmp_path / "scene.mkv", "progressive", frames)
    settings = replace(LOSSLESS, field_order_by_scene=True)
    target, record = enhanced(tmp_path, clip, frames, settings, field_order="tff")
    if frames == 12:
        assert (record["field_order"], record["field_order_differs"]) == ("progressive", True)
        assert levels(target, (WIDTH, HEIGHT)) == [20 + 10 * (n // 2) for n in range(24)]
    assert frame_count(target) == 2 * frames


def test_an_interlaced_scene_of_a_progressive_tape_keeps_the_rate(tmp_path):
    clip = field_scene(tmp_path / "scene.mkv", "bff", 12)
    target, record = enhanced(tmp_path, clip, 12, field_order="progressive")
    assert (record["field_order"], record["frames_out"], record["rate"]) == ("bff", 12, "25/1")
    assert levels(target, (WIDTH, HEIGHT))[1:] == pytest.approx([20 + 10 * n for n in range(1, 12)], abs=2)


def test_off_keeps_the_combs(tmp_path):
    clip = field_scene(tmp_path / "scene.mkv", "tff", 4)
    target, _ = enhanced(tmp_path, clip, 4, replace(LOSSLESS, deinterlace="off"), field_order="tff")
    assert np.array_equal(samples(target, "yuv422p"), samples(clip, "yuv422p"))


def test_times_come_from_frame_numbers(tmp_path):
    rate = Fraction(30000, 1001)
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="160x120", format="yuv420p"), frames=50)
    target, _ = enhanced(tmp_path, clip, 50, PLAIN, field_order="bff", rate=rate)
    times = scan_packets(target, 0).times
    assert list(times) == [milliseconds(n / (2 * rate)) for n in range(100)]


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1", "ffv1"])
def test_clips_of_a_tape_join_and_are_the_same_bytes_on_any_number_of_cores(tmp_path, encoder):
    scenes = {
        "long": clip_from(tmp_path / "a.mkv", MOVING.format(size="176x144", format="yuv420p"), frames=45),
        "single": clip_from(tmp_path / "b.mkv", "color=black:size=176x144:rate=25,format=yuv420p", frames=1),
        "noise": clip_from(tmp_path / "c.mkv", "color=gray:s=176x144:r=25,noise=alls=90,format=yuv420p", frames=7),
    }
    settings = replace(PLAIN, encoder=encoder, encoder_threads=2, preset="fast")
    headers, digests = set(), {}
    for cores in ({0}, set(os.sched_getaffinity(0))):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            for name, clip in scenes.items():
                frames = frame_count(clip)
                target, record = enhanced(tmp_path / name, clip, frames, settings, field_order="tff")
                headers.add((record["codec_private_sha256"], str(probe(target).picture)))
                digests.setdefault(name, set()).add(hashlib.sha256(target.read_bytes()).hexdigest())
        finally:
            os.sched_setaffinity(0, before)
    assert len(headers) == 1
    assert {name: len(found) for name, found in digests.items()} == {"long": 1, "single": 1, "noise": 1}


@pytest.mark.parametrize(
    ("size", "pixel_format", "frames"),
    [
        ("1x1", "yuv444p", 3),
        ("2x2", "yuv420p", 3),
        ("17x13", "yuv444p", 3),
        ("721x577", "yuv422p", 2),
        ("320x240", "gray", 3),
        ("320x240", "ya8", 3),
        ("320x240", "yuva420p", 3),
        ("320x240", "bgr0", 3),
        ("320x240", "gbrp10le", 3),
        ("320x240", "yuv411p", 3),
        ("320x240", "yuv422p10le", 3),
        ("320x240", "gray16le", 1),
    ],
)
@pytest.mark.parametrize("order", ["tff", "progressive"])
def test_any_size_and_format_becomes_what_was_promised(tmp_path, size, pixel_format, frames, order):
    width, height = size.split("x")
    colours = f"c0=0xC02010:c1=0x10A0F0:x0=0:y0=0:x1={width}:y1={height}:seed=1"
    source = f"gradients=size={size}:rate=25:{colours},format={pixel_format}"
    clip = clip_from(tmp_path / "scene.mkv", source, frames=frames)
    settings = replace(PLAIN, preset="fast")
    target, _ = enhanced(tmp_path, clip, frames, settings, field_order=order)
    promised = plan_output_format(facts_of(clip, field_order=order), settings)
    found = probe(target).picture
    assert (found.width, found.height, found.pixel_format) == (promised.width, promised.height, promised.pixel_format)
    assert frame_count(target) == frames * promised.frames_per_frame


def test_ten_bits_stay_ten_bits(tmp_path):
    """A ramp of 10-bit levels keeps more levels than 8 bits have."""
    ramp = np.tile(np.linspace(64, 940, WIDTH * 4).astype(np.uint16), (HEIGHT, 1))
    neutral = np.full((HEIGHT, WIDTH * 4), 512, np.uint16)
    row = np.concatenate([ramp.ravel(), neutral.ravel()]).view(np.uint8)
    clip = clip_of(tmp_path / "scene.mkv", row[None], "yuv422p10le", (WIDTH * 4, HEIGHT))
    target, _ = enhanced(tmp_path, clip, 1)
    luma = samples(target, "yuv422p10le")[0].view(np.uint16)[: WIDTH * 4]
    assert len(np.unique(luma)) > 600


@pytest.mark.parametrize(
    ("lines", "tags"), [(720, ()), (576, ("-colorspace", "bt709", "-color_range", "pc")), (576, ())]
)
def test_the_gate_sees_strong_colour_as_the_filters_took_it(tmp_path, lines, tags):
    """Luma falls where red rises: read with the wrong matrix, the picture is bright where it was dark."""
    rise = np.linspace(-0.45, 0.45, WIDTH)
    planes = [
        np.tile(row.round().astype(np.uint8), lines) for row in (142 - 25 * rise, 128 + 130 * rise, 128 + 210 * rise)
    ]
    plain = clip_of(tmp_path / "plain.mkv", np.concatenate(planes)[None], "yuv444p", (WIDTH, lines))
    clip = tmp_path / "scene.mkv"
    ffmpeg.run(
        [*ffmpeg.input_args(plain), "-c", "copy", *tags, *ffmpeg.output_args(clip, "matroska")],
        concerns=clip,
        timeout_s=60,
    )
    _, record = enhanced(tmp_path, clip, 1)
    assert min(record["likeness"]) > 0.95


def test_a_damaged_scene_is_kept_only_if_all_its_frames_are(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="160x120", format="yuv420p"), frames=8)
    with pytest.raises(SceneError, match=r"not 18; the original could not be kept either: .* not 18"):
        enhanced(tmp_path, clip, 9, replace(PLAIN, preset="fast"), on_failure="keep_original", field_order="tff")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_the_cut_says_of_stand_ins_goes_into_the_record(tmp_path):
    plain = clip_from(tmp_path / "plain.mkv", MOVING.format(size="160x120", format="yuv420p"), frames=4)
    clip = tmp_path / "scene.mkv"
    tag = ("-metadata", "TAPEMILL_STANDS_IN=2 of 4 pictures")
    ffmpeg.run(
        [*ffmpeg.input_args(plain), "-c", "copy", *tag, *ffmpeg.output_args(clip, "matroska")],
        concerns=clip,
        timeout_s=60,
    )
    target, record = enhanced(tmp_path, clip, 4)
    assert record["stands_in"] == "2 of 4 pictures"
    with av.open(str(target)) as container:
        assert "TAPEMILL_STANDS_IN" not in container.metadata
    assert "stands_in" not in enhanced(tmp_path, plain, 4)[1]


def test_frames_missing_from_the_scene_fail_the_gate_and_leave_nothing(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="160x120", format="yuv420p"), frames=8)
    with pytest.raises(GateError, match="16 frames, not 18"):
        enhanced(tmp_path, clip, 9, PLAIN, field_order="tff")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_scene_is_named_and_leaves_nothing(tmp_path):
    broken = tmp_path / "scene's \n.mkv"
    broken.write_bytes(b"\x1a\x45\xdf\xa3 no matroska")
    with pytest.raises(ToolFailed) as caught:
        enhance_scene(
            clip=broken,
            target=tmp_path / "out" / "clip.mkv",
            record=tmp_path / "out" / "clip.json",
            picture=facts_of(clip_from(tmp_path / "whole.mkv", "testsrc=size=160x120:rate=25", frames=1)),
            frames=9,
            settings=replace(PLAIN, field_order_by_scene=False),
            device=CPU,
        )
    assert caught.value.file == broken
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("order", ["tff", "progressive"])
def test_it_tells_how_many_pictures_came_out(tmp_path, monkeypatch, caplog, order):
    tell_all(monkeypatch, caplog)
    clip = field_scene(tmp_path / "scene.mkv", order, 12)
    _, record = enhanced(tmp_path, clip, 12, replace(LOSSLESS, field_order_by_scene=True), field_order="tff")
    assert (progressed(caplog)[-1]["frames"], progressed(caplog)[-1]["total_frames"]) == (24, 24)
    assert facts(caplog) == {"frames": record["frames_out"], "model": []}


def test_the_commands_of_the_record_make_the_same_clip(tmp_path):
    clip = field_scene(tmp_path / "scene.mkv", "tff", 6)
    target, record = enhanced(tmp_path, clip, 6, replace(PLAIN, preset="fast"), field_order="tff")
    (command,) = record["commands"]
    again = tmp_path / "again.mkv"
    _, *arguments = shlex.split(command.replace("{cut}", str(clip)).replace("{clip}", str(again)))
    subprocess.run([ffmpeg.binary(), *arguments], check=True, stdin=subprocess.DEVNULL)
    assert again.read_bytes() == target.read_bytes()
    assert record["programs"] == {"ffmpeg": ffmpeg_build().id}
    assert "cut_with" not in record
