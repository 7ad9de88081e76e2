"""A tape whose fields change their order within a scene, and that ends in film, through the whole workflow."""

import json

import numpy as np
import pytest

from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.scenes import read_scenes
from tests.support.project import Project

pytestmark = pytest.mark.long

WIDTH, HEIGHT = 320, 400
MOVING = f"testsrc2=s={WIDTH}x{HEIGHT}:d=6:r="
VIDEO, FILM = f"{MOVING}60000/1001", f"{MOVING}24000/1001,negate"
# Frames of the capture in each order; two fields each.
TOP_FIRST, BOTTOM_FIRST, TELECINE = 62, 58, 60


def lumas(inputs, filters):
    """Luma of all frames, shape = (frames, lines, columns)."""
    arguments = [*inputs, "-vf", f"{filters},format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    with ffmpeg.pipe_out(arguments, concerns=inputs[-1], timeout_s=120) as stream:
        return np.frombuffer(stream.read(), np.uint8).reshape(-1, HEIGHT, WIDTH)


def nearest(frames, originals, expected):
    """For each frame the most similar original, of those around the expected one."""
    found = []
    for frame, index in zip(frames, expected, strict=True):
        around = range(max(0, index - 3), min(len(originals), index + 4))
        found.append(min(around, key=lambda k, frame=frame: np.abs(originals[k].astype(int) - frame).mean()))
    return found


def test_each_field_is_shown_once_in_its_order_and_film_is_whole(tmp_path):
    project = Project(tmp_path / "project")
    (project.folder / "captures").mkdir()
    capture = project.path("captures/a.mkv")
    swap = 2 * TOP_FIRST
    graph = (
        f"{VIDEO},split[a][b];[a]trim=end_frame={swap},tinterlace=interleave_top[one]"
        f";[b]trim=start_frame={swap}:end_frame={swap + 2 * BOTTOM_FIRST},setpts=PTS-STARTPTS,"
        f"tinterlace=interleave_bottom[other];{FILM},telecine=first_field=top:pattern=32,trim=end_frame={TELECINE}[film]"
        ";[one][other][film]concat=n=3,setpts=N/(30000/1001)/TB,setfield=mode=prog"
    )
    arguments = ["-f", "lavfi", "-i", graph, "-r", "30000/1001", "-c:v", "ffv1", "-g", "1"]
    ffmpeg.run([*arguments, *ffmpeg.output_args(capture, "matroska")], concerns=capture, timeout_s=120)
    project.configure(enhance={"preset": "none", "encoder": "ffv1"}, scenes={"shortest_s": 1.0})
    project.sheet({"tape": "T", "source": "captures/a.mkv", "language": "en"})

    project.make("all")

    starts = [scene.span.start_frame for scene in read_scenes(project.path("results/T/scenes.tsv"))]
    assert starts == [0, TOP_FIRST, TOP_FIRST + BOTTOM_FIRST]
    records = [json.loads(project.path(f"results/T/enhanced/{start:07d}.json").read_text()) for start in starts]
    assert [record["field_order"] for record in records] == ["tff", "bff", "tff"]
    assert [record.get("film", {}).get("pattern") for record in records] == [None, None, "3:2"]
    tape = lumas(ffmpeg.input_args(project.path("results/T/T.mkv")), "null")
    fields = 2 * (TOP_FIRST + BOTTOM_FIRST)
    assert len(tape) == fields + 2 * TELECINE
    video = list(range(fields))
    assert nearest(tape[:fields], lumas(["-f", "lavfi", "-i", VIDEO], "null"), video) == video
    film = np.repeat(np.arange(TELECINE), [3, 2] * (TELECINE // 2))[: 2 * TELECINE].tolist()
    originals = lumas(["-f", "lavfi", "-i", FILM], "null")
    assert nearest(tape[fields:], originals, film) == film
    assert all(np.array_equal(tape[fields + k], originals[index]) for k, index in enumerate(film))
