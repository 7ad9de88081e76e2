"""Tapes that are film as a whole: found by the stage scenes, and each film frame shown once by the stage enhance."""

import json
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from tapemill.config.schema import load_config
from tapemill.core.errors import ConfigError
from tapemill.core.timing import FrameRange
from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.media.field_match import FieldMatcher, StripReader
from tapemill.scenes import ScenesSettings, cut_scene, detect_scenes, read_scenes
from tapemill.scenes.film_tape import FilmSearch, MeasuredRecording, find_tape_film
from tests.support.capture_info import capture_of
from tests.support.media.clips import LOSSLESS, clip_from, samples

FILM = "testsrc2=s=320x240:r={rate}:d=6,format=yuv420p"
NTSC, PAL = FILM.format(rate="24000/1001"), FILM.format(rate="25")
TELECINE = "telecine=first_field=top:pattern=23"
SETTINGS = replace(ScenesSettings(**load_config({})["scenes"]), shortest_s=0.3, longest_s=1.5)


def scenes_of(source, order, **choice):
    """The scenes of a capture, and the capture. Without an order its fields were measured, and taken for none."""
    capture = capture_of(source, interlaced=order)
    if order is None:
        capture = replace(capture, notes={"field_order": {"found_by": "movement"}})
    table = source.with_suffix(".tsv")
    lists = {"edl": source.with_suffix(".edl"), "csv": source.with_suffix(".csv")}
    detect_scenes(source=source, capture=capture, settings=SETTINGS, table=table, **lists, **choice)
    return read_scenes(table), capture


def restored(source, order, **choice):
    """Frames of all clips of a capture, their records, and the scenes."""
    scenes, capture = scenes_of(source, order, **choice)
    frames, records = [], []
    for scene in scenes:
        cut, clip = source.with_name(f"{scene.id}.cut.mkv"), source.with_name(f"{scene.id}.mkv")
        start = scene.span.start_frame
        span = FrameRange(start, start + scene.cut_frames)
        (take,) = capture.takes
        cut_scene(
            source=source, take=take, sound_stream=None, span=span, target=cut, picture=capture.picture, threads=1
        )
        enhance_scene(
            clip=cut,
            target=clip,
            record=clip.with_suffix(".json"),
            picture=capture.picture,
            frames=scene.cut_frames,
            settings=LOSSLESS,
            device=CPU,
            film=scene.film,
        )
        frames += [frame.tobytes() for frame in samples(clip, "yuv420p")]
        records.append(json.loads(clip.with_suffix(".json").read_text()))
    return frames, records, scenes


def originals(tmp_path, graph, frames):
    """The film frames, as bytes."""
    return [frame.tobytes() for frame in samples(clip_from(tmp_path / "film.mkv", graph, frames=frames), "yuv420p")]


@pytest.mark.parametrize(
    ("carried", "order"),
    [
        (TELECINE, "tff"),
        ("telecine=first_field=bottom:pattern=32", "bff"),
        *[(f"{TELECINE},trim=start_frame={skip}", "tff") for skip in (1, 2, 3, 4)],
        ("telecine=first_field=bottom:pattern=23", None),
    ],
    ids=["2:3", "3:2 bff", "1 later", "2 later", "3 later", "4 later", "taken for progressive"],
)
def test_each_film_frame_of_telecine_is_shown_once(tmp_path, carried, order):
    graph = f"{NTSC},{carried},setpts=N/(30000/1001)/TB"
    source = clip_from(tmp_path / "capture.mkv", graph, frames=100)
    frames, records, scenes = restored(source, order)
    film = originals(tmp_path, NTSC, 90)
    shown = [film.index(frame) if frame in film else None for frame in frames]
    whole = [index for index in shown if index is not None]
    assert whole == list(range(whole[0], whole[-1] + 1))
    # The first and the last film frame may have lost a field.
    assert None not in shown[1:-1]
    assert abs(len(frames) - Fraction(80)) <= 1
    assert len(scenes) > 2
    for record, scene in zip(records, scenes, strict=True):
        assert record["rate"] == "24000/1001"
        assert record["frames_out"] == scene.film.parsed.shown
        assert record["film"]["is_whole_tape"]
        assert record["film"]["confidence"] > 0.95
        assert not record["film"].get("dropped") and not record["film"].get("repeated")


def test_film_with_shifted_fields_becomes_25_whole_frames(tmp_path):
    source = clip_from(tmp_path / "capture.mkv", f"{PAL},phase=b", frames=75)
    frames, records, scenes = restored(source, "tff")
    film = originals(tmp_path, PAL, 90)
    shown = [film.index(frame) if frame in film else None for frame in frames]
    assert shown[1:-1] == list(range(shown[1], shown[1] + len(shown) - 2))
    assert len(frames) in (75, 76)
    assert {record["rate"] for record in records} == {"25/1"}
    assert [scene.film.rate for scene in scenes] == ["25"] * len(scenes)


# Two frames are missing after 36, one after 70: the cadence starts anew with another phase.
EDITED = f"{NTSC},{TELECINE},select='not(between(n,37,38)+eq(n,73))',setpts=N/(30000/1001)/TB"


def test_edited_telecine_stays_in_its_time(tmp_path):
    source = clip_from(tmp_path / "capture.mkv", EDITED, frames=100)
    frames, records, scenes = restored(source, "tff")
    film = originals(tmp_path, NTSC, 100)
    kept = [frame for frame in range(103) if frame not in (37, 38, 73)]
    assert abs(len(frames) - 80) <= 1
    # Time at which a film frame is in the capture: that of its first field, in frames of the capture.
    for number, frame in enumerate(frames):
        if frame in film:
            start = sum(film.index(frame) * 5 // 4 > at for at in kept)
            assert abs(start - number * Fraction(5, 4)) <= Fraction(5, 2)
    shown = [film.index(frame) for frame in frames if frame in film]
    assert shown == sorted(set(shown))
    cadences = [scene.film.parsed for scene in scenes]
    assert sum(cadence.shown for cadence in cadences) == len(frames)
    assert [record["film"].get("dropped", 0) for record in records] == [cadence.dropped for cadence in cadences]
    # Film frames that lost both fields are gone; of the others hardly one is missing.
    assert sum(cadence.dropped + cadence.repeated for cadence in cadences) <= 1
    assert set(range(78)) - set(shown) <= {29, 30, 31, 57, 58, 59, 77}


VIDEO = FILM.format(rate="60000/1001") + ",tinterlace=interleave_top"
NO_FILM = {
    "video": (VIDEO, "tff"),
    "noisy video": (f"{VIDEO},noise=alls=15:allf=t", "tff"),
    "slow video": (FILM.format(rate="60000/1001") + ",scroll=v=0.004,tinterlace=interleave_top", "tff"),
    "video in the wrong order": (VIDEO, "bff"),
    "PAL video": (FILM.format(rate="50") + ",tinterlace=interleave_top", "tff"),
    "PAL video in the wrong order": (FILM.format(rate="50") + ",tinterlace=interleave_top", "bff"),
    "still": ("color=gray:size=320x240:rate=30000/1001,noise=alls=9:allf=t", "tff"),
    "film and two seconds of video": (
        f"{NTSC},{TELECINE},trim=end_frame=90[a];{VIDEO},trim=end_frame=60[b];[a][b]concat,setpts=N/(30000/1001)/TB",
        "tff",
    ),
}


@pytest.mark.parametrize("name", NO_FILM)
def test_a_tape_with_video_or_without_movement_is_not_film(tmp_path, name):
    graph, order = NO_FILM[name]
    scenes, _ = scenes_of(clip_from(tmp_path / "capture.mkv", graph, frames=150), order)
    table = (tmp_path / "capture.tsv").read_text()
    assert not any(scene.film for scene in scenes)
    scenes_of(tmp_path / "capture.mkv", order, film="off")
    assert (tmp_path / "capture.tsv").read_text() == table


WHOLE = {
    "noisy": f"{NTSC},{TELECINE},noise=alls=9:allf=t",
    "fades": f"{NTSC},fade=in:0:36,fade=out:64:36,{TELECINE}",
    "drawn in twos": FILM.format(rate="12000/1001") + f",fps=24000/1001,{TELECINE}",
    "snow at the end": (
        f"{NTSC},{TELECINE},trim=end_frame=110[a];color=gray:s=320x240:r=30000/1001:d=4,format=yuv420p,"
        "noise=alls=100:allf=t+u[b];[a][b]concat"
    ),
    "a title that stands": f"{NTSC},{TELECINE},tpad=start=60:start_mode=clone",
}


@pytest.mark.parametrize("name", WHOLE)
def test_noise_fades_drawings_and_titles_do_not_hide_film(tmp_path, name):
    source = clip_from(tmp_path / "capture.mkv", f"{WHOLE[name]},setpts=N/(30000/1001)/TB", frames=150)
    scenes, _ = scenes_of(source, "tff")
    assert {scene.film.rate for scene in scenes} == {"24"}
    assert sum(scene.film.parsed.shown for scene in scenes) in (119, 120, 121)


def test_recordings_that_are_joined_have_each_their_own_cadence(tmp_path):
    files = [
        clip_from(tmp_path / f"{skip}.mkv", f"{NTSC},{TELECINE},trim=start_frame={skip}", frames=70 + skip)
        for skip in (0, 3)
    ]
    first, second = (capture_of(file, interlaced="tff") for file in files)
    search = FilmSearch.of(first, "auto", may_have_fields=True)
    recordings = []
    for capture, file in zip((first, second), files, strict=True):
        combing, matcher, reader = search.measures(), FieldMatcher(), StripReader()
        with av.open(str(file)) as container:
            for frame in container.decode(video=0):
                strip = reader.strip(frame)
                matcher.add(strip)
                combing["tff"].add(strip)
        recordings.append(MeasuredRecording(capture.frames, combing, matcher.matches()))
    film = find_tape_film(search, recordings)
    spans = [FrameRange(0, 40), FrameRange(40, first.frames), FrameRange(first.frames, first.frames + second.frames)]
    scenes = film.of_scenes(spans)
    # Only within a recording a cut has a frame of the next scene.
    assert [scene.cut_frames - span.frames for scene, span in zip(scenes, spans, strict=True)] == [1, 0, 0]
    assert abs(sum(scene.parsed.shown for scene in scenes) - Fraction(4, 5) * (first.frames + second.frames)) <= 1
    assert scenes[2].cadence.startswith("1,")


def test_the_sheet_forbids_and_demands_film(tmp_path):
    telecine = clip_from(tmp_path / "a.mkv", f"{NTSC},{TELECINE}", frames=60)
    assert not any(scene.film for scene in scenes_of(telecine, "tff", film="off")[0])
    video = clip_from(tmp_path / "b.mkv", VIDEO, frames=60)
    scenes, _ = scenes_of(video, "tff", film="24")
    assert {(scene.film.rate, scene.film.confidence) for scene in scenes} == {("24", None)}
    assert abs(sum(scene.film.parsed.shown for scene in scenes) - 48) <= 1
    with pytest.raises(ConfigError, match=r"cannot be film of 25 frames a second: it has 29\.97 frames a second"):
        scenes_of(telecine, "tff", film="25")
