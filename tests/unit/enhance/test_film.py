"""Film in interlaced scenes: each field shows its own film frame, whole, in its own time."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.enhance.field_order import detect_scene_field_order
from tapemill.enhance.film import Film, detect_film, weave_filters
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.media.clips import LOSSLESS, clip_from, clip_of, facts_of, samples
from tests.support.media.frame_codes import picture, read_numbers

SIZE = 180, 144
NTSC = np.repeat(np.arange(40), [3, 2] * 20)
# Cut in the middle of the rhythm: the second film frame of three fields has no fields after its first two.
CUT_FILM = np.concatenate([NTSC[:37], 15 + np.repeat(np.arange(25), [3, 2] * 12 + [3])])
FILMS = {
    "3:2 pulldown": (NTSC, "tff"),
    "2:3 pulldown": (np.repeat(np.arange(40), [2, 3] * 20), "bff"),
    "begins in the middle": (NTSC[4:84], "tff"),
    "shifted": (np.repeat(np.arange(51), 2)[1:101], "tff"),
    "shifted the other way": (np.repeat(np.arange(51), 2)[1:101], "bff"),
    "cut film": (CUT_FILM[:98], "tff"),
}


def scene_of_fields(path, numbers, order):
    """A scene whose successive fields show these numbers."""
    frames = []
    for first, second in zip(numbers[::2], numbers[1::2], strict=True):
        luma, cb, cr = picture(int(first), int(second), 0, SIZE, order)
        chroma = [np.full(SIZE[0] // 2 * SIZE[1], value, np.uint8) for value in (cb, cr)]
        frames.append(np.concatenate([luma.ravel(), *chroma]))
    return clip_of(path, np.stack(frames), "yuv422p", SIZE)


def enhanced(tmp_path, scene, frames, order, **settings):
    target, record = tmp_path / "clip.mkv", tmp_path / "clip.json"
    enhance_scene(
        clip=scene,
        target=target,
        record=record,
        picture=facts_of(scene, field_order=order),
        frames=frames,
        settings=replace(LOSSLESS, **settings),
        device=CPU,
    )
    return [reading.number for reading in read_numbers(target)], json.loads(record.read_text())


@pytest.mark.parametrize("mode", ["bob", "single"])
@pytest.mark.parametrize("name", FILMS)
def test_each_field_shows_its_film_frame(tmp_path, name, mode):
    fields, order = FILMS[name]
    scene = scene_of_fields(tmp_path / "scene.mkv", fields, order)

    numbers, record = enhanced(tmp_path, scene, len(fields) // 2, order, deinterlace=mode)

    assert numbers == (fields if mode == "bob" else fields[::2]).tolist()
    film = record["film"]
    assert film["pattern"] == ("2:2" if "shifted" in name else "3:2")
    assert film["confidence"] > 0.9
    # At the edges of a scene and of a cut, film frames of one field have no other one.
    assert film["deinterlaced"] <= (6 if name == "cut film" else 2)


@pytest.mark.parametrize("settings", [{"deinterlace": "off"}, {"field_order_by_scene": False}], ids=["off", "by tape"])
def test_film_is_not_looked_for_unless_scenes_are_checked(tmp_path, settings):
    fields, order = FILMS["shifted"]
    scene = scene_of_fields(tmp_path / "scene.mkv", fields, order)
    _, record = enhanced(tmp_path, scene, 50, order, **settings)
    assert "film" not in record


MOVING = "testsrc2=s=320x240:r={rate}:d=5,format=yuv420p"


@pytest.mark.parametrize(
    ("film", "carried", "order"),
    [
        (MOVING.format(rate="24000/1001"), "telecine=first_field=top:pattern=23", "tff"),
        (MOVING.format(rate="24000/1001"), "telecine=first_field=bottom:pattern=32", "bff"),
        (MOVING.format(rate="25"), "phase=b", "tff"),
    ],
    ids=["telecine", "telecine bff", "shifted"],
)
def test_woven_frames_are_those_of_the_film(tmp_path, film, carried, order):
    scene = clip_from(tmp_path / "scene.mkv", f"{film},{carried}", frames=60)
    originals = {frame.tobytes() for frame in samples(clip_from(tmp_path / "film.mkv", film, frames=80), "yuv420p")}

    found = detect_film(scene, field_order=order)
    marked = f"settb=expr=1/30,setpts=expr=N,setparams=field_mode={order}"
    deinterlacer = f"bwdif=mode=send_field:parity={order}:deint=all"
    weave = weave_filters(found, rate=Fraction(30), deinterlacer=deinterlacer, every_field=True)
    woven = frames_of(scene, f"{marked},{weave}")

    assert len(woven) == 120
    wrong = [field for field, frame in enumerate(woven) if frame.tobytes() not in originals]
    assert wrong == [field for field, single in enumerate(found.single) if single]
    assert len(wrong) <= 2


def test_each_field_is_woven_as_it_was_decided_in_any_number_of_parts(tmp_path):
    frames = 300
    random = np.random.default_rng(1)
    with_previous, single = random.random(2 * frames) < 0.5, random.random(2 * frames) < 0.2
    with_previous[[0, -1]] = False, True
    # Each field is of one level, which its neighbours do not have.
    levels = np.resize(np.arange(20, 220, 7), 2 * frames).astype(np.uint8)
    pictures = np.full((frames, 320 * 240 * 3 // 2), 128, np.uint8)
    luma = pictures[:, : 320 * 240].reshape(frames, 240, 320)
    luma[:, ::2], luma[:, 1::2] = levels[::2, None, None], levels[1::2, None, None]
    scene = clip_of(tmp_path / "scene.mkv", pictures, "yuv420p", (320, 240))

    film = Film("3:2", 1.0, tuple(with_previous.tolist()), tuple(single.tolist()))
    marked = "settb=expr=1/25,setpts=expr=N,setparams=field_mode=tff"
    # Instead of a deinterlacer: frames of one level.
    deinterlacer = "separatefields,scale=h=240:flags=neighbor,lutyuv=y=250,setsar=1"
    weave = weave_filters(film, rate=Fraction(25), deinterlacer=deinterlacer, every_field=True)
    woven = frames_of(scene, f"{marked},{weave}")[:, : 320 * 240].reshape(-1, 240, 320)

    assert len(woven) == 2 * frames
    for field, lines in enumerate(woven[:, :2, 0].tolist()):
        first = field - int(with_previous[field])
        pair = [levels[first], levels[min(first + 1, 2 * frames - 1)]]
        assert lines == ([250, 250] if single[field] else pair if first % 2 == 0 else pair[::-1]), field


@pytest.mark.parametrize("noise", ["null", "noise=alls=15:allf=t"], ids=["clean", "noisy"])
@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("motion", ["null", "scroll=v=0.01", "scroll=v=0.004:h=0.003"], ids=["-", "fast", "slow"])
def test_video_is_no_film(tmp_path, motion, order, noise):
    interleave = {"tff": "tinterlace=interleave_top", "bff": "tinterlace=interleave_bottom"}[order]
    scene = clip_from(tmp_path / "scene.mkv", f"{MOVING.format(rate=50)},{motion},{interleave},{noise}", frames=60)
    assert detect_film(scene, field_order=order) is None


def test_a_still_and_a_short_scene_are_no_film(tmp_path):
    still = clip_from(tmp_path / "still.mkv", "color=gray:size=352x288:rate=25,noise=alls=9:allf=t", frames=40)
    assert detect_film(still, field_order="tff") is None
    short = scene_of_fields(tmp_path / "short.mkv", NTSC[:8], "tff")
    assert detect_film(short, field_order="tff") is None


@pytest.mark.parametrize("tape", ["tff", "bff", "progressive"])
def test_telecine_has_its_own_order_on_any_tape(tmp_path, tape):
    scene = scene_of_fields(tmp_path / "scene.mkv", NTSC, "tff")
    numbers, record = enhanced(tmp_path, scene, 50, tape)
    assert (record["field_order"], record["field_order_differs"]) == ("tff", tape != "tff")
    assert numbers == (NTSC[::2] if tape == "progressive" else NTSC).tolist()


def test_a_scene_that_may_be_film_is_told_by_its_samples(tmp_path):
    film = scene_of_fields(tmp_path / "film.mkv", FILMS["shifted"][0], "tff")
    video = clip_from(tmp_path / "video.mkv", "mandelbrot=s=320x240:r=50,tinterlace=interleave_top", frames=60)
    kinds = [
        detect_scene_field_order(scene, frames=frames, rate=Fraction(25), tape="tff").may_be_film
        for scene, frames in ((film, 50), (video, 60))
    ]
    assert kinds == [True, False]


def frames_of(scene, filters):
    """All frames that filters make of a scene, as bytes."""
    path = scene.with_suffix(".raw")
    output = ["-fps_mode", "passthrough", "-pix_fmt", "yuv420p", *ffmpeg.output_args(path, "rawvideo")]
    ffmpeg.run([*ffmpeg.input_args(scene), "-vf", filters, *output], concerns=scene, timeout_s=60)
    return np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 320 * 240 * 3 // 2)
