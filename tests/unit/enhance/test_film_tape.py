"""Tapes that are film as a whole: found by the stage scenes, and each film frame shown once by the stage enhance."""

import json
from dataclasses import replace
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from tapemill.config.schema import load_config
from tapemill.core.errors import ConfigError
from tapemill.core.timing import FrameRange
from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.scenes import ScenesSettings, cut_scene, detect_scenes, read_scenes
from tests.support.capture_info import capture_of
from tests.support.media.clips import LOSSLESS, clip_from, samples

FILM = "testsrc2=s=320x240:r={rate}:d=6,format=yuv420p"
NTSC, PAL = FILM.format(rate="24000/1001"), FILM.format(rate="25")
TELECINE = "telecine=first_field=top:pattern=23"
SETTINGS = replace(ScenesSettings(**load_config({})["scenes"]), shortest_s=0.3, longest_s=1.5)


def scenes_of(source, order, **choice):
    """The scenes of a capture, and the capture."""
    capture = capture_of(source, interlaced=order)
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
    ("carried", "order", "first"),
    [
        (TELECINE, "tff", 0),
        ("telecine=first_field=bottom:pattern=32", "bff", 0),
        *[(f"{TELECINE},trim=start_frame={skip}", "tff", 1 + skip // 4) for skip in (1, 2, 3, 4)],
    ],
    ids=["2:3", "3:2 bff", "1 later", "2 later", "3 later", "4 later"],
)
def test_each_film_frame_of_telecine_is_shown_once(tmp_path, carried, order, first):
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
