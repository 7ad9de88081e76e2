import random
from fractions import Fraction

import av
import numpy as np
import pytest

from tapemill.audio import AudioSettings, clean_sound
from tapemill.core.errors import GateError, InputError
from tapemill.core.job_warnings import JobWarning
from tapemill.core.timing import round_half_up
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.records.common import Failure
from tapemill.tape import Chapter, SubtitleTrack, TapeDescription, TapeSettings, mux_tape
from tests.support.media.beeps import NTSC, beeping, capture, decoded, facts, found_beeps, heard, run
from tests.support.progress_log import facts as told_facts
from tests.support.progress_log import progressed, tell_all
from tests.support.records import clip_record, write_record

ENCODERS = {
    "libx264": ("-preset", "veryfast", "-bf", 3, "-x264-params", "threads=1:keyint=25:b-pyramid=normal"),
    "libx265": ("-preset", "fast", "-x265-params", "log-level=error:pools=none:frame-threads=1:bframes=4"),
    "libsvtav1": ("-preset", 12, "-svtav1-params", "lp=1"),
    "ffv1": ("-level", 3, "-slicecrc", 1),
}
LENGTHS = (37, 61, 1, 50)
AUDIO = {
    **{"tracks": "all", "hum_hz": 0, "hiss_db": 0.0, "loudness_lufs": None, "true_peak_db": -1.0},
    **{"codec": "flac", "bitrate_kbps": 128},
}
HOSTILE = "a=b;c#d\\e\nf 'quote' \"Größe\" [CHAPTER]"


def make_clip(path, frames, *, encoder="libx264", rate=NTSC, size="64x48", start=0, options=None, aspect=1):
    picture = (
        f"testsrc2=s={size}:r={rate}:d=60,trim=start_frame={start}:end_frame={start + frames},setpts=N/({rate})/TB"
    )
    tags = "setparams=color_primaries=bt470bg:color_trc=bt709:colorspace=bt470bg:range=tv"
    encoding = ["-c:v", encoder, *(ENCODERS[encoder] if options is None else options)]
    shown = ["-vf", f"setsar={aspect},format=yuv420p,{tags}"]
    run("-f", "lavfi", "-i", picture, *shown, *encoding, *ffmpeg.BITEXACT, *ffmpeg.output_args(path, "matroska"))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    starts = [sum(LENGTHS[:k]) for k in range(len(LENGTHS))]
    return {
        encoder: [
            make_clip(folder / f"{encoder}{start:07d}.mkv", length, encoder=encoder, start=start)
            for start, length in zip(starts, LENGTHS, strict=True)
        ]
        for encoder in ENCODERS
    }


def mux(target, clips, frames=LENGTHS, *, subtitles_on=False, **changes):
    arguments = {
        "rate": NTSC,
        "audio": None,
        "subtitles": [],
        "chapters": [],
        "description": TapeDescription(),
    } | changes
    settings = TapeSettings(target.suffix[1:], chapters=True, chapter_shortest_s=60, subtitles_on=subtitles_on)
    mux_tape(clips=clips, clip_frames=frames, target=target, settings=settings, **arguments)
    assert [path for path in target.parent.iterdir() if path.name.startswith(".")] == []
    return target


def test_scenes_that_are_not_as_they_should_be_are_told(tmp_path, clips):
    parts = []
    for clip, record in zip(
        clips["libx264"],
        ({"kept_original": Failure("GateError", "why")}, {"stands_in": "2 of 61 pictures"}, {}, None),
        strict=True,
    ):
        part = tmp_path / clip.name
        part.write_bytes(clip.read_bytes())
        if record is not None:
            write_record(part.with_suffix(".json"), clip_record(**record))
        parts.append(part)
    notices = mux_tape(
        clips=parts,
        clip_frames=LENGTHS,
        rate=NTSC,
        audio=None,
        subtitles=[],
        chapters=[],
        description=TapeDescription(),
        target=tmp_path / "T01.mkv",
        settings=TapeSettings("mkv", chapters=True, chapter_shortest_s=60, subtitles_on=False),
    )
    assert notices == [
        JobWarning("kept", "GateError: why", scene=parts[0].stem),
        JobWarning("stands_in", "2 of 61 pictures", scene=parts[1].stem),
    ]


def times(path):
    """Times of the pictures, sorted, in units of the stream, and that unit."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sorted(p.pts for p in container.demux(stream) if p.size), Fraction(stream.time_base)


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").tobytes() for frame in container.decode(video=0)]


def sound_of(tmp_path, seconds=5, codec="flac", rate=48_000, frames=149, **changes):
    source = capture(tmp_path / "capture.mkv", [(beeping(seconds, rate), rate, ("-c", "pcm_s16le"))], frames=frames)
    take, sounds = facts(source)
    clean_sound(
        sources=[source],
        takes=[take],
        sounds=sounds,
        target=tmp_path / "sound.mka",
        record=tmp_path / "sound.json",
        settings=AudioSettings(**(AUDIO | {"codec": codec} | changes)),
    )
    return tmp_path / "sound.mka"


def subtitle(path, *cues):
    blocks = [f"{n}\n{start} --> {stop}\n{text}\n" for n, (start, stop, text) in enumerate(cues, 1)]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.mark.parametrize("container", ["mkv", "mp4"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_picture_is_there_once_in_order_at_its_time(tmp_path, clips, encoder, container):
    tape = mux(tmp_path / f"tape.{container}", clips[encoder])
    found, unit = times(tape)
    assert found == [round_half_up(k / NTSC / unit) for k in range(sum(LENGTHS))]
    assert pictures(tape) == [picture for clip in clips[encoder] for picture in pictures(clip)]
    with av.open(str(tape)) as opened:
        stream = opened.streams.video[0]
        assert stream.average_rate == NTSC
        assert stream.sample_aspect_ratio in (None, 1)
        context = stream.codec_context
        # What the container says; decoders that read the stream's own tags come to the same.
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (5, 1, 5, 1)


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_seven_hundred_clips_of_odd_lengths_do_not_drift(tmp_path, container):
    options = ("-preset", "ultrafast", "-bf", 2, "-x264-params", "threads=1")
    made = {n: make_clip(tmp_path / f"{n}.mkv", n, size="16x16", options=options) for n in (1, 7, 311)}
    lengths = random.Random(1).choices(list(made), k=700)
    tape = mux(tmp_path / f"tape.{container}", [made[n] for n in lengths], lengths)
    found, unit = times(tape)
    assert sum(lengths) / NTSC > 2000
    assert found == [round_half_up(k / NTSC / unit) for k in range(sum(lengths))]
    with av.open(str(tape)) as opened:
        assert abs(Fraction(opened.duration, 10**6) - sum(lengths) / NTSC) < Fraction(1, 500)


@pytest.mark.parametrize(
    "rate", [Fraction(25), Fraction(50), Fraction(60000, 1001), Fraction(24000, 1001), Fraction(15)]
)
def test_other_rates(tmp_path, rate):
    made = [make_clip(tmp_path / f"{n}.mkv", n, rate=rate) for n in (13, 29)]
    tape = mux(tmp_path / "tape.mkv", made, [13, 29], rate=rate)
    assert times(tape)[0] == [round_half_up(k / rate * 1000) for k in range(42)]
    with av.open(str(tape)) as opened:
        # Read back from whole nanoseconds.
        assert float(opened.streams.video[0].average_rate) == pytest.approx(float(rate), rel=1e-7)


@pytest.mark.parametrize("container", ["mkv", "mp4"])
@pytest.mark.parametrize("codec", ["flac", "pcm", "aac", "opus"])
def test_sound_is_not_shifted(tmp_path, clips, codec, container):
    tape = mux(tmp_path / f"tape.{container}", clips["libx264"], audio=sound_of(tmp_path, codec=codec))
    assert found_beeps(*heard(tape, tmp_path)) == pytest.approx([k + 0.1 for k in range(5)], abs=0.001)
    if container == "mp4":
        with av.open(str(tape)) as opened:
            packets = [p for p in opened.demux(opened.streams.audio[0]) if p.size]
        ends = [p.pts + p.duration for p in packets]
        assert [p.pts for p in packets[1:]] == ends[:-1]


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_lossless_sound_is_the_same_in_the_tape(tmp_path, clips, rate):
    sound = sound_of(tmp_path, rate=rate)
    for container in ("mkv", "mp4"):
        assert np.array_equal(decoded(mux(tmp_path / f"tape.{container}", clips["ffv1"], audio=sound)), decoded(sound))


def test_sound_and_picture_are_together_after_half_an_hour(tmp_path):
    options = ("-preset", "ultrafast", "-x264-params", "threads=1")
    clip = make_clip(tmp_path / "c.mkv", 899, size="16x16", options=options)
    frames = [899] * 60
    sound = sound_of(tmp_path, seconds=1799, rate=8000, codec="aac", bitrate_kbps=32)
    for container in ("mkv", "mp4"):
        tape = mux(tmp_path / f"tape.{container}", [clip] * 60, frames, audio=sound)
        samples, rate = heard(tape, tmp_path)
        last = found_beeps(samples[1790 * rate : 1800 * rate], rate)
        assert last == pytest.approx([k + 0.1 for k in range(9)], abs=0.001)
        found, unit = times(tape)
        assert found[-1] == round_half_up((sum(frames) - 1) / NTSC / unit)


def test_subtitles_have_their_times_texts_and_languages(tmp_path, clips):
    german = subtitle(
        tmp_path / "a.srt",
        ("00:00:00,500", "00:00:01,500", "Grüße <i>dir</i>"),
        ("00:00:02,000", "00:00:02,700", "Two\nlines"),
    )
    (tmp_path / "empty.srt").touch()
    tracks = [
        SubtitleTrack(german, "de", "Deutsch"),
        SubtitleTrack(tmp_path / "empty.srt", "fr", ""),
        SubtitleTrack(subtitle(tmp_path / "b.srt", ("00:00:00,500", "00:00:01,500", "Hello")), "en", "English"),
    ]
    tape = mux(tmp_path / "tape.mkv", clips["libx264"], subtitles=tracks)
    with av.open(str(tape)) as opened:
        streams = opened.streams.subtitles
        assert [(s.language, s.metadata["title"], int(s.disposition)) for s in streams] == [
            ("ger", "Deutsch", 0),
            ("eng", "English", 0),
        ]
        cues = [(p.pts, p.duration, bytes(p).decode()) for p in opened.demux(streams[0]) if p.size]
    assert cues == [(500, 1000, "Grüße <i>dir</i>"), (2000, 700, "Two\nlines")]
    shown = mux(tmp_path / "tape.mkv", clips["libx264"], subtitles=tracks, subtitles_on=True)
    with av.open(str(shown)) as opened:
        assert [int(s.disposition) for s in opened.streams.subtitles] == [1, 0]


def test_subtitles_in_mp4(tmp_path, clips):
    path = subtitle(
        tmp_path / "a.srt", ("00:00:00,500", "00:00:01,500", "Grüße"), ("00:00:02,000", "00:00:02,700", "Two")
    )
    sound = sound_of(tmp_path)
    tape = mux(tmp_path / "tape.mp4", clips["libx264"], audio=sound, subtitles=[SubtitleTrack(path, "de", "Deutsch")])
    with av.open(str(tape)) as opened:
        stream = opened.streams.subtitles[0]
        assert stream.language == "deu"
        unit = float(stream.time_base)
        cues = [(p.pts * unit, p.duration * unit, bytes(p)[2:].decode()) for p in opened.demux(stream) if p.size > 2]
    assert [text for _, _, text in cues] == ["Grüße", "Two"]
    assert [time for start, length, _ in cues for time in (start, length)] == pytest.approx([0.5, 1, 2, 0.7], abs=0.001)


def test_titles_tags_and_chapters_of_any_text(tmp_path, clips):
    chapters = [Chapter(Fraction(0), HOSTILE), Chapter(37 / NTSC, "Zwei"), Chapter(98 / NTSC, "Drei")]
    about = TapeDescription(title=HOSTILE, date="1994-07", language="de", tags={"encoder": "libx264", "note": HOSTILE})
    tape = mux(tmp_path / "tape.mkv", clips["libx264"], chapters=chapters, description=about, audio=sound_of(tmp_path))
    with av.open(str(tape)) as opened:
        tags = dict(opened.metadata)
        found = opened.chapters()
        assert opened.streams.audio[0].language == "ger"
    assert tags["title"] == tags["TAPEMILL_NOTE"] == HOSTILE
    assert tags["DATE_RECORDED"] == tags["DATE"] == "1994-07"
    assert [chapter["metadata"]["title"] for chapter in found] == [HOSTILE, "Zwei", "Drei"]
    edges = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in found]
    assert [start for start, _ in edges] == pytest.approx([0, 37 / NTSC, 98 / NTSC], abs=0.0005)
    assert [end for _, end in edges] == pytest.approx([37 / NTSC, 98 / NTSC, 149 / NTSC], abs=0.0005)

    tape = mux(tmp_path / "tape.mp4", clips["libx264"], chapters=chapters, description=about)
    with av.open(str(tape)) as opened:
        assert opened.metadata["title"] == HOSTILE
        assert opened.metadata["date"] == "1994-07"
        assert f"TAPEMILL_NOTE={HOSTILE}" in opened.metadata["comment"]
        assert [chapter["metadata"]["title"] for chapter in opened.chapters()] == [HOSTILE, "Zwei", "Drei"]


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_the_same_parts_make_the_same_file(tmp_path, clips, container):
    arguments = {
        "audio": sound_of(tmp_path, codec="opus"),
        "subtitles": [SubtitleTrack(subtitle(tmp_path / "a.srt", ("00:00:00,500", "00:00:01,500", "Hello")), "en", "")],
        "chapters": [Chapter(Fraction(0), "One")],
        "description": TapeDescription(title="T", date="1990", tags={"a": "b"}),
    }
    made = [mux(tmp_path / name / f"tape.{container}", clips["libx264"], **arguments) for name in ("one", "two")]
    first, second = (path.read_bytes() for path in made)
    assert first == second
    assert b"Lavf6" not in first


def test_matroska_has_its_index_before_the_pictures(tmp_path, clips):
    content = mux(tmp_path / "tape.mkv", clips["ffv1"]).read_bytes()
    assert 0 < content.find(b"\x1c\x53\xbb\x6b") < content.find(b"\x1f\x43\xb6\x75")


def test_an_empty_sound_file_makes_no_track(tmp_path, clips):
    (tmp_path / "sound.mka").touch()
    tape = mux(tmp_path / "tape.mkv", clips["ffv1"], audio=tmp_path / "sound.mka")
    with av.open(str(tape)) as opened:
        assert [stream.type for stream in opened.streams] == ["video"]


def refused(tmp_path, *arguments, error=GateError, **changes):
    """Mux something that does not fit; return the message. Nothing may be left behind."""
    target = tmp_path / "out" / "tape.mkv"
    with pytest.raises(error) as caught:
        mux(target, *arguments, **changes)
    assert not target.parent.exists() or list(target.parent.iterdir()) == []
    return str(caught.value)


def test_clips_that_do_not_fit_are_named(tmp_path, clips):
    good = clips["libx264"]
    assert "149 frames" not in refused(tmp_path, good, (37, 62, 1, 50))
    assert "shows 61 frames in 61 packets, not 62" in refused(tmp_path, good, (37, 62, 1, 50))
    other = make_clip(tmp_path / "other.mkv", 61, options=("-bf", 0, "-preset", "veryfast"))
    message = refused(tmp_path, [good[0], other, *good[2:]])
    assert "extradata" in message
    assert "other.mkv" in message
    assert "codec, " in refused(tmp_path, [*good[:3], clips["ffv1"][3]])
    small = make_clip(tmp_path / "small.mkv", 61, size="32x32")
    assert "width, height" in refused(tmp_path, [good[0], small, *good[2:]])
    wide = make_clip(tmp_path / "wide.mkv", 61, aspect="16/11")
    assert "square, not 16/11" in refused(tmp_path, [good[0], wide, *good[2:]])
    loud = capture(tmp_path / "loud.mkv", [(beeping(1, 8000), 8000, ("-c", "pcm_s16le"))], frames=37)
    assert "exactly one video stream" in refused(tmp_path, [loud, *good[1:]])


def test_a_clip_at_the_wrong_rate_or_with_a_gap_is_refused(tmp_path):
    clip = make_clip(tmp_path / "c.mkv", 30, rate=Fraction(25))
    assert "not 30, one per frame time" in refused(tmp_path, [clip], [30])


def test_missing_and_broken_files_are_one_clear_error(tmp_path, clips):
    good = clips["ffv1"]
    assert "does not exist" in refused(tmp_path, [tmp_path / "no.mkv", *good[1:]], error=InputError)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(good[1].read_bytes()[: good[1].stat().st_size // 2])
    assert "not 61" in refused(tmp_path, [good[0], cut, *good[2:]])
    junk = tmp_path / "junk.mka"
    junk.write_bytes(b"no sound at all" * 100)
    assert "cannot be read as media" in refused(tmp_path, good, audio=junk, error=InputError)
    refused(tmp_path, [], [], error=GateError)


def test_it_tells_how_far_each_step_is(tmp_path, clips, monkeypatch, caplog):
    tell_all(monkeypatch, caplog)
    mux(tmp_path / "tape.mkv", clips["libx264"])
    whole = sum(LENGTHS)
    reached = {told["step"]: told["frames"] for told in progressed(caplog)}
    assert reached == {"checking the clips": whole, "joining": whole, "verifying the tape": whole}
    assert told_facts(caplog) == {"frames": whole}
