"""A capture through every stage but speech recognition, as the workflow would do it, in this process."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from tapemill.audio import AudioSettings, clean_sound, extract_audio
from tapemill.capture.probe import CaptureSettings, probe_capture
from tapemill.config.schema import load_config
from tapemill.core.timing import FrameRange
from tapemill.devices.device import CPU
from tapemill.enhance import EnhanceSettings, enhance_scene, plan_output_format
from tapemill.media.capture_info import Capture, SourceFileInfo
from tapemill.scenes import ScenesSettings, cut_scene, detect_scenes, read_scenes
from tapemill.subtitles import join_subtitles
from tapemill.tape import SubtitleTrack, TapeDescription, TapeSettings, mux_tape, plan_chapters

CUE = "1\n00:00:00,100 --> 00:00:00,900\nGrandmother's garden\n\n"


def restore(source: Path, folder: Path, *, preset: str) -> Path:
    """Make a tape of one capture file; raises what the stages raise, AssertionError if the tape is not complete."""
    config = load_config({"enhance": {"preset": preset, "encoder_effort": "fast"}})
    enhance = EnhanceSettings(**config["enhance"])
    facts, table = folder / "capture.json", folder / "scenes.tsv"
    probe_capture(
        source=source,
        target=facts,
        field_order="auto",
        display_aspect=None,
        settings=CaptureSettings(**config["capture"]),
    )
    capture = Capture.read(facts)
    sound_stream = next((sound.stream_index for sound in capture.sounds), None)
    detect_scenes(
        source=source,
        capture=capture,
        settings=ScenesSettings(**config["scenes"]),
        table=table,
        edl=folder / "scenes.edl",
        csv=folder / "scenes.csv",
    )
    scenes = read_scenes(table)
    spans = [scene.span for scene in scenes]
    film = scenes[0].film
    output = plan_output_format(capture.picture, enhance, film.rate if film else None)
    counts = [scene.film.parsed.shown if scene.film else output.frames(scene.span.frames) for scene in scenes]
    clips, cues = [], []
    for scene in scenes:
        take, start = _recording(capture, scene.span.start_frame)
        inside = FrameRange(scene.span.start_frame - start, scene.span.stop_frame - start)
        cut, clip = folder / f"{scene.id}.cut.mkv", folder / f"{scene.id}.mkv"
        cut_scene(
            source=source,
            take=take,
            sound_stream=sound_stream,
            span=FrameRange(inside.start_frame, inside.start_frame + scene.cut_frames),
            target=cut,
            picture=capture.picture,
            threads=1,
        )
        extract_audio(
            source=source, take=take, sound_stream=sound_stream, span=inside, target=folder / f"{scene.id}.wav"
        )
        enhance_scene(
            clip=cut,
            target=clip,
            record=clip.with_suffix(".json"),
            picture=capture.picture,
            frames=scene.cut_frames,
            settings=enhance,
            device=CPU,
            output=output,
            film=scene.film,
        )
        clips.append(clip)
        cues.append(clip.with_suffix(".srt"))
        cues[-1].write_text(CUE)
    clean_sound(
        sources=[source],
        takes=capture.takes,
        sounds=capture.sounds,
        target=folder / "sound.mka",
        record=folder / "sound.json",
        settings=AudioSettings(**config["audio"]),
    )
    rate = capture.picture.rate
    join_subtitles(
        cues=cues,
        starts_s=[span.start_s(rate) for span in spans],
        durations_s=[span.duration_s(rate) for span in spans],
        srt=folder / "tape.srt",
        vtt=folder / "tape.vtt",
        gap_s=Fraction(2) / rate,
    )
    tape, settings = folder / "tape.mkv", TapeSettings(**config["tape"])
    mux_tape(
        clips=clips,
        clip_frames=counts,
        rate=output.rate,
        audio=folder / "sound.mka",
        subtitles=[SubtitleTrack(folder / "tape.srt", "en", "")],
        chapters=plan_chapters(spans=spans, rate=rate, settings=settings),
        description=TapeDescription(title="Tape"),
        target=tape,
        settings=settings,
    )
    assert spans[-1].stop_frame == capture.frames, "the scenes do not cover the capture"
    with av.open(str(tape)) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    assert decoded == sum(counts), f"{decoded} pictures of {sum(counts)}"
    return tape


def _recording(capture: Capture, frame: int) -> tuple[SourceFileInfo, int]:
    """The recording that has a frame of the capture, and its own first frame."""
    start = 0
    for take in capture.takes:
        if frame < start + take.frames:
            return take, start
        start += take.frames
    raise AssertionError(f"frame {frame} is in no recording")
