"""Checks of written media: nothing, empty, garbage, half of it, silent or blank."""

import errno

import av
import numpy as np
import pytest

from tapemill.core.errors import GateError, InputError, WriteFailed
from tapemill.media.output_checks import (
    check_exists,
    check_loudness,
    is_blank,
    open_output,
    peak_amplitude,
    thumbnail,
    verifying,
)
from tests.support.media.clips import clip_from


@pytest.fixture
def clip(tmp_path):
    return clip_from(tmp_path / "clip.mkv", "testsrc=size=64x48:rate=25,format=yuv420p", frames=5)


def test_a_good_file_is_open_in_the_block(clip):
    with open_output(clip, target=clip) as container:
        assert len(list(container.decode(video=0))) == 5


def test_a_file_that_is_not_there_or_empty_is_refused_under_the_name_it_was_to_get(tmp_path):
    partial, target = tmp_path / "partial.mkv", tmp_path / "target.mkv"
    with pytest.raises(GateError, match="nothing was written") as caught:
        check_exists(partial, target=target)
    assert caught.value.file == target
    partial.touch()
    with pytest.raises(GateError, match="an empty file was written"), verifying(partial, target=target):
        pytest.fail("the block began")


def test_garbage_is_refused(tmp_path):
    path = tmp_path / "garbage.mkv"
    path.write_bytes(b"no media" * 1000)
    with pytest.raises(GateError, match="what was written cannot be used: ") as caught, open_output(path, target=path):
        pytest.fail("it was opened")
    assert isinstance(caught.value.__cause__, InputError)


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_error_of_the_disk_is_no_fault_of_what_was_written(clip, wrapped):
    with pytest.raises(WriteFailed, match="read back"), verifying(clip, target=clip):
        try:
            # As PyAV raises for a read that failed.
            av.error.err_check(-errno.EIO)
        except av.error.FFmpegError as error:
            if not wrapped:
                raise
            raise InputError("no frame could be decoded", file=clip, remedy="capture it again") from error


def test_a_file_that_breaks_off_while_it_is_read_is_refused(clip):
    data = clip.read_bytes()
    # The content of the last frames, between two of its own marks.
    clip.write_bytes(data[: len(data) * 3 // 4] + bytes(len(data) // 4))
    with (
        pytest.raises(GateError, match="cannot be read to its end") as caught,
        open_output(clip, target=clip) as container,
    ):
        for stream in container.streams.video:
            stream.codec_context.options = {"err_detect": "explode"}
        list(container.decode(video=0))
    assert caught.value.tool == "PyAV"


@pytest.mark.parametrize(("written", "was", "is_lost"), [(0.0, 0.5, True), (0.0, 1e-6, False), (1e-5, 0.5, False)])
def test_silence_is_an_error_only_where_the_source_is_audible(tmp_path, written, was, is_lost):
    if is_lost:
        with pytest.raises(GateError, match="silent"):
            check_loudness(written=written, was=was, target=tmp_path)
    else:
        check_loudness(written=written, was=was, target=tmp_path)


@pytest.mark.parametrize(
    ("samples", "kind", "peak"),
    [
        (np.array([[0, -16384, 8192]], np.int16), "s16", 0.5),
        (np.array([[128, 192, 128]], np.uint8), "u8", 0.5),
        (np.array([[0.0, -0.25]], np.float32), "flt", 0.25),
        (np.array([[1 << 30]], np.int32), "s32", 0.5),
    ],
)
def test_the_peak_is_that_of_full_scale_whatever_the_format(samples, kind, peak):
    assert peak_amplitude(av.AudioFrame.from_ndarray(samples, format=kind, layout="mono")) == peak


def test_a_frame_without_samples_has_no_peak():
    assert peak_amplitude(av.AudioFrame.from_ndarray(np.zeros((1, 0), np.int16), format="s16", layout="mono")) == 0


def grey(luma):
    return av.VideoFrame.from_ndarray(luma, format="gray")


def test_a_thumbnail_is_of_a_part_and_none_of_a_frame_that_is_too_small():
    luma = np.zeros((48, 64), np.uint8)
    luma[:, 32:] = 200
    assert thumbnail(grey(luma)).shape == (6, 8)
    assert thumbnail(grey(luma), (32, 0, 32, 48)).min() == 200
    assert thumbnail(grey(luma), (0, 0, 8, 8)) is None


def test_a_frame_of_one_colour_or_too_small_to_judge_is_blank():
    assert is_blank(grey(np.full((48, 64), 90, np.uint8)))
    assert is_blank(grey(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    assert not is_blank(grey(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))))
