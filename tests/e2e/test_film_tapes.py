"""Tapes that are film as a whole, and one that is not, through the whole workflow."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.scenes import read_scenes
from tests.support.project import Project

pytestmark = pytest.mark.long

WIDTH, HEIGHT = 320, 400
MOVING = f"testsrc2=s={WIDTH}x{HEIGHT}:d=8:r="
NTSC, PAL, VIDEO = f"{MOVING}24000/1001", f"{MOVING}25", f"{MOVING}60000/1001"
TELECINE = "telecine=first_field=top:pattern=23,trim=start_frame=3,setpts=N/(30000/1001)/TB"
NTSC_RATE = "30000/1001"
CAPTURES = {
    "ntsc": (f"{NTSC},{TELECINE}", NTSC_RATE, 150),
    "pal": (f"{PAL},phase=b", "25", 125),
    "mixed": (
        f"{NTSC},{TELECINE},trim=end_frame=90[a];{VIDEO},tinterlace=interleave_top,trim=end_frame=60[b]"
        f";[a][b]concat,setpts=N/({NTSC_RATE})/TB",
        NTSC_RATE,
        150,
    ),
}
ROWS = [{"tape": name, "source": f"captures/{name}.mkv", "language": "en"} for name in CAPTURES] + [
    {"tape": "forbidden", "source": "captures/mixed.mkv", "language": "en", "film": "off"}
]
# A tone begins with each of these film frames.
BEEPS = (24, 60, 96)


def lumas(inputs, filters="null"):
    """Luma of all frames, as bytes."""
    arguments = [*inputs, "-vf", f"{filters},format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    with ffmpeg.pipe_out(arguments, concerns=inputs[-1], timeout_s=120) as stream:
        raw = stream.read()
    return [raw[start : start + WIDTH * HEIGHT] for start in range(0, len(raw), WIDTH * HEIGHT)]


def make(path, name):
    """Make a capture whose audio has tones at the times of the film frames in `BEEPS`."""
    graph, rate, frames = CAPTURES[name]
    film_s = Fraction(1, 25) if name == "pal" else Fraction(1001, 24000)
    # The first film frame of the NTSC capture is the third, of which one field is left; it begins a field earlier.
    first_s = Fraction(0) if name == "pal" else Fraction(3 * 1001, 30000)
    starts = [float(number * film_s - first_s) for number in BEEPS]
    tone = "+".join(f"between(t,{start},{start + 0.05})" for start in starts)
    audio = f"aevalsrc='0.5*sin(2*PI*1000*t)*({tone})':s=48000:d={float(frames / Fraction(rate))}"
    inputs = ["-f", "lavfi", "-i", f"{graph},setfield=tff", "-f", "lavfi", "-i", audio, "-frames:v", str(frames)]
    encode = ["-r", rate, "-c:v", "ffv1", "-g", "1", "-c:a", "pcm_s16le"]
    ffmpeg.run([*inputs, *encode, *ffmpeg.output_args(path, "matroska")], concerns=path, timeout_s=120)


def onsets_s(tape):
    """Times at which tones begin."""
    arguments = [*ffmpeg.input_args(tape), "-map", "0:a:0", "-ac", "1", "-ar", "48000", "-f", "f32le", "pipe:1"]
    with ffmpeg.pipe_out(arguments, concerns=tape, timeout_s=120) as stream:
        loud = np.flatnonzero(np.abs(np.frombuffer(stream.read(), np.float32)) > 0.05)
    return [int(at) / 48000 for at in loud[np.flatnonzero(np.diff(loud, prepend=-10_000) > 2000)]]


def frame_times_s(tape):
    """Time of each frame, and the rate of the video."""
    with av.open(str(tape)) as container:
        stream = container.streams.video[0]
        times = sorted(float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.size)
        return times, stream.average_rate


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("film") / "project")
    (project.folder / "captures").mkdir()
    for name in CAPTURES:
        make(project.path(f"captures/{name}.mkv"), name)
    project.configure(enhance={"preset": "none", "encoder": "ffv1"}, scenes={"shortest_s": 1.0, "longest_s": 3})
    project.sheet(*ROWS)
    project.make("all")
    return project


@pytest.mark.parametrize(("name", "rate"), [("ntsc", Fraction(24000, 1001)), ("pal", Fraction(25))])
def test_each_film_frame_is_shown_once_beside_its_audio(project, name, rate):
    tape = project.path(f"results/{name}/{name}.mkv")
    film = lumas(["-f", "lavfi", "-i", NTSC if name == "ntsc" else PAL])
    shown = [film.index(frame) if frame in film else None for frame in lumas(ffmpeg.input_args(tape))]
    # The first and the last film frame have lost a field.
    assert shown[1:-1] == list(range(shown[1], shown[1] + len(shown) - 2))

    times, found = frame_times_s(tape)
    assert (len(times), found) == (len(shown), rate)
    capture_s = CAPTURES[name][2] / Fraction(CAPTURES[name][1])
    assert abs(len(shown) / rate - capture_s) <= 1 / rate
    beeps = onsets_s(tape)
    assert len(beeps) == len(BEEPS)
    for number, beep in zip(BEEPS, beeps, strict=True):
        assert abs(times[shown.index(number)] - beep) < 1 / rate
    assert len(read_scenes(project.path(f"results/{name}/scenes.tsv"))) > 1


def test_a_mixed_tape_keeps_its_rate_and_comes_out_as_before(project):
    one, other = (project.path(f"results/{name}") for name in ("mixed", "forbidden"))
    assert (one / "scenes.tsv").read_bytes() == (other / "scenes.tsv").read_bytes()
    assert len(frame_times_s(one / "mixed.mkv")[0]) == 2 * CAPTURES["mixed"][2]
    clips = sorted((one / "enhanced").glob("*"))
    assert [clip.read_bytes() for clip in clips] == [(other / "enhanced" / clip.name).read_bytes() for clip in clips]


def test_the_sheet_changes_the_decision_and_nothing_else_runs_again(project):
    project.sheet({**ROWS[0], "film": "off"}, *ROWS[1:])
    jobs = project.make("all").jobs
    scenes = len(read_scenes(project.path("results/ntsc/scenes.tsv")))
    assert (jobs["detect_scenes"], jobs["enhance_scene"], jobs["mux_tape"]) == (1, scenes, 1)
    assert not {"probe_capture", "transcribe_scene", "clean_sound"} & jobs.keys()
    assert len(frame_times_s(project.path("results/ntsc/ntsc.mkv"))[0]) == 2 * CAPTURES["ntsc"][2]
    # A tape without the column comes out as it was.
    project.sheet(*ROWS)
    project.make("all")
    assert frame_times_s(project.path("results/ntsc/ntsc.mkv"))[1] == Fraction(24000, 1001)
