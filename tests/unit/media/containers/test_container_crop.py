import av
import pytest

from tapemill.media import ffmpeg
from tapemill.media.capture_info import Crop
from tapemill.media.containers.container_crop import read_container_crop
from tapemill.media.probe import probe
from tests.support.media.captures import X264, copied, make
from tests.support.media.clean_aperture import add_clean_aperture

# Neither side is a multiple of 16: the codec crops too.
PICTURE = "testsrc2=s=350x286:r=25"
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-tag:v", "hvc1")


def read(path):
    media = probe(path)
    return read_container_crop(path, media.container, media.picture)


@pytest.mark.parametrize("codec", [X264, X265])
def test_the_crop_of_a_container_is_read_and_not_applied(tmp_path, codec):
    plain = make(tmp_path / "plain.mov", *codec, picture=PICTURE, seconds=0.2, sound=False)
    assert read(plain) is None
    cropped = copied(plain, tmp_path / "cropped.mov")
    add_clean_aperture(cropped, width=332, height=276, right=1, down=-2)
    for path in (cropped, copied(cropped, tmp_path / "cropped.mkv")):
        assert read(path) == Crop(10, 3, 332, 276)
        # Frames as PyAV decodes them: cropped by the codec.
        frames = [*ffmpeg_frames(path, ffmpeg.WHOLE_FRAME)]
        with av.open(str(path)) as container:
            expected = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert len(frames) == len(expected) == 5
        assert all((frame == other).all() for frame, other in zip(frames, expected, strict=True))
        assert {frame.shape for frame in ffmpeg_frames(path, ())} == {(276, 332)}


def ffmpeg_frames(path, options):
    """Yield the luma of all frames as ffmpeg decodes them."""
    raw = path.with_suffix(".y4m")
    output = ["-pix_fmt", "gray", *ffmpeg.output_args(raw, "yuv4mpegpipe")]
    ffmpeg.run([*ffmpeg.input_args(path, options=options), *output], concerns=path, timeout_s=60)
    with av.open(str(raw)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="gray")


def test_the_crop_is_that_of_the_video_stream(tmp_path):
    small = make(tmp_path / "small.mov", picture=PICTURE, seconds=0.2, sound=False)
    add_clean_aperture(small, width=300, height=200)
    large = make(tmp_path / "large.mkv", picture="testsrc2=s=640x480:r=25", seconds=0.2, sound=False)
    both = tmp_path / "both.mkv"
    streams = ["-map", "0", "-map", "1", "-c", "copy", *ffmpeg.output_args(both, "matroska")]
    ffmpeg.run([*ffmpeg.input_args(small), *ffmpeg.input_args(large), *streams], concerns=both, timeout_s=60)
    assert probe(both).picture.stream_index == 1
    assert read(both) is None
