import json
import re

import av
import numpy as np
import pytest

from tapemill.audio import AudioSettings, clean_sound
from tapemill.audio.filters import fit_layout
from tapemill.audio.timeline import RawAudioFormat, TimelineTrack, decode_to_timeline
from tapemill.audio.timeline_writer import TimelineStats
from tapemill.core.errors import InputError
from tapemill.core.timing import round_half_up
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.media.beeps import (
    NTSC,
    beeping,
    capture,
    decoded,
    facts,
    found_beeps,
    garbled,
    heard,
    raw,
    rewritten,
    run,
)
from tests.support.progress_log import facts as told_facts
from tests.support.progress_log import progressed, tell_all
from tests.support.project import FIELD, SAMPLES

DEFAULTS = {
    **{"tracks": "all", "hum_hz": 0, "hiss_db": 0.0, "loudness_lufs": None, "true_peak_db": -1.0},
    **{"codec": "flac", "bitrate_kbps": 128},
}
PCM = ("-c", "pcm_s16le")


def clean(tmp_path, sources, sounds=None, **changes):
    """Run clean_sound; return its file and its record."""
    described = [facts(source) for source in sources]
    target, record = tmp_path / "sound.mka", tmp_path / "sound.json"
    clean_sound(
        sources=sources,
        takes=[take for take, _ in described],
        sounds=described[0][1] if sounds is None else sounds,
        target=target,
        record=record,
        settings=AudioSettings(**(DEFAULTS | changes)),
    )
    assert sorted(path.name for path in tmp_path.glob(".sound*")) == []
    return target, json.loads(record.read_text())


def assert_beeps(path, tmp_path, expected, track=0, within_s=0.001):
    found = found_beeps(*heard(path, tmp_path, track))
    assert found == pytest.approx(expected, abs=within_s)


def test_sound_is_kept_bit_for_bit_in_every_track(tmp_path):
    noise = np.random.default_rng(1).integers(-(2**23), 2**23, (96_000, 2)).astype("<i4") * 256
    mono = beeping(5, 8000)
    options = ("-c", "pcm_s24le", "-metadata:s", "language=ger"), (*PCM, "-metadata:s", "title=second; one")
    source = capture(tmp_path / "a.mkv", [(noise, 96_000, options[0]), (mono, 8000, options[1])])
    target, record = clean(tmp_path, [source])
    assert np.array_equal(decoded(target, 0), noise)
    assert np.array_equal(decoded(target, 1), mono)
    assert [(t["bits"], t["sample_rate_hz"], t["channels"]) for t in record["tracks"]] == [
        (24, 96000, 2),
        (16, 8000, 1),
    ]
    with av.open(str(target)) as container:
        assert [s.language for s in container.streams.audio] == ["ger", None]
        assert container.streams.audio[1].metadata["title"] == "second; one"


@pytest.mark.parametrize("codec", ["flac", "pcm", "aac", "opus"])
def test_more_than_eight_channels_become_tracks_of_eight_at_most(tmp_path, codec):
    tones = np.sin(2 * np.pi * np.outer(np.arange(48_000), 200 + 100 * np.arange(22)) / 48_000)
    tones[:, 8:16] *= 0.5
    tones[:, 21] = 0
    samples = (tones * 2**14).astype("<i2")
    source = capture(tmp_path / "a.mkv", [(samples, 48_000, (*PCM, "-metadata:s", "title=SDI"))])
    target, record = clean(tmp_path, [source], codec=codec)
    assert [track["channels"] for track in record["tracks"]] == [8, 8, 6]
    assert [track["source_channels"] for track in record["tracks"]] == [
        list(range(1, 9)),
        list(range(9, 17)),
        [17, 18, 19, 20, 21, 22],
    ]
    for track, channels in enumerate([range(8), range(8, 16), range(16, 22)]):
        found = decoded(target, track)[:48_000]
        if codec in ("flac", "pcm"):
            assert np.array_equal(found, samples[:, channels.start : channels.stop])
            continue
        # Of a lossy codec: each tone is in its channel.
        loudest = np.abs(np.fft.rfft(found[4000:44_000].astype(float), axis=0)).argmax(axis=0) * 48_000 / 40_000
        heard_hz = [200 + 100 * channel for channel in channels if channel != 21]
        assert loudest[: len(heard_hz)] == pytest.approx(heard_hz, abs=2)
    with av.open(str(target)) as container:
        assert container.streams.audio[2].metadata["title"] == "SDI (channels 17–22)"


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("layout", ["3c", "4c", "4.0", "5.1(side)", "5.1.2", "downmix"])
def test_layouts_that_a_codec_does_not_have_are_fitted(tmp_path, layout, codec):
    channels = {"3c": 3, "4c": 4, "4.0": 4, "5.1(side)": 6, "5.1.2": 8, "downmix": 2}[layout]
    track = TimelineTrack(
        tmp_path / "0.raw", RawAudioFormat("s16", 16, 48_000, channels, layout), TimelineStats(samples=9600)
    )
    noise = np.random.default_rng(1).integers(-(2**12), 2**12, (9600, channels)).astype("<i2")
    noise.tofile(track.path)
    chain = fit_layout(layout, channels, codec)
    command = [*ffmpeg.input_args(track.path, options=track.source_options()), *(("-af", chain[0]) if chain else ())]
    encoder = {"aac": "aac", "opus": "libopus"}[codec]
    ffmpeg.run(
        [*command, "-c:a", encoder, *ffmpeg.output_args(tmp_path / "a.mka", "matroska")],
        concerns=track.path,
        timeout_s=60,
    )
    assert decoded(tmp_path / "a.mka").shape[1] == channels


@pytest.mark.skipif(not FIELD.exists(), reason="the inputs from the field are not here")
def test_a_track_of_sixteen_channels(tmp_path):
    source = FIELD / "picture" / "one_track_16_channels.mov"
    target, record = clean(tmp_path, [source])
    whole = decoded(source)
    assert np.array_equal(np.hstack([decoded(target, 0), decoded(target, 1)]), whole)
    assert [track["channels"] for track in record["tracks"]] == [8, 8]


def test_the_first_track_alone_if_asked(tmp_path):
    source = capture(tmp_path / "a.mkv", [(beeping(3, 8000), 8000, PCM), (beeping(3, 48_000), 48_000, PCM)])
    target, record = clean(tmp_path, [source], tracks="first")
    assert len(record["tracks"]) == 1
    assert len(decoded(target)) == 24_000


@pytest.mark.parametrize(
    ("name", "muxer", "options"),
    [
        ("a.mkv", "matroska", PCM),
        ("a.mov", "mov", PCM),
        ("a.mp4", "mp4", ("-c", "aac", "-b", "128k")),
        ("a.ts", "mpegts", ("-c", "mp2")),
    ],
)
@pytest.mark.parametrize("offset_frames", [0, 12, -10])
def test_sound_that_starts_late_or_early_is_heard_where_it_belongs(tmp_path, name, muxer, options, offset_frames):
    offset_s = float(offset_frames / NTSC)
    samples = beeping(5, 48_000)
    source = capture(tmp_path / name, [(samples, 48_000, options)], sound_offset_s=offset_s, muxer=muxer)
    target, record = clean(tmp_path, [source])
    onsets = [k + 0.1 + offset_s for k in range(5)]
    assert_beeps(target, tmp_path, [onset for onset in onsets if onset >= 0])
    track = record["tracks"][0]
    if options == PCM:
        # Within the millisecond that Matroska rounds to.
        assert track["padded"] == pytest.approx(max(0, offset_s * 48_000), abs=48)
        assert track["trimmed"] == pytest.approx(max(0, -offset_s * 48_000), abs=48)
        assert track["samples"] == len(samples) + track["padded"] - track["trimmed"]


def test_avi_counts_its_sound_from_the_first_picture(tmp_path):
    # Captures in AVI are intra-coded; H.264 in it has no time stamps of its own.
    sounds = [(beeping(5, 48_000), 48_000, PCM)]
    source = capture(tmp_path / "a.avi", sounds, muxer="avi", picture_codec="mjpeg")
    target, _ = clean(tmp_path, [source])
    assert np.array_equal(decoded(target), sounds[0][0])


def test_a_hole_in_the_sound_is_filled_with_silence(tmp_path):
    whole = capture(tmp_path / "whole.mkv", [(beeping(5, 48_000), 48_000, PCM)])
    source = rewritten(whole, tmp_path / "a.mkv", lambda packet, n: None if 10 <= n < 20 else packet)
    target, record = clean(tmp_path, [source])
    missing = 240_000 - (record["tracks"][0]["samples"] - record["tracks"][0]["filled"])
    assert missing > 20_000
    assert abs(record["tracks"][0]["samples"] - 240_000) <= 48
    beeps = found_beeps(*heard(target, tmp_path))
    assert 2 <= len(beeps) <= 4
    assert [beep % 1 for beep in beeps] == pytest.approx([0.1] * len(beeps), abs=0.001)


def test_packets_that_cannot_be_read_are_silence(tmp_path):
    whole = capture(tmp_path / "whole.mkv", [(beeping(5, 48_000), 48_000, ("-c", "flac"))])
    source = rewritten(whole, tmp_path / "a.mkv", lambda packet, n: garbled(packet) if 10 <= n < 20 else packet)
    target, record = clean(tmp_path, [source])
    assert record["tracks"][0]["unreadable_packets"] == 10
    assert abs(len(decoded(target)) - 240_000) <= 48
    assert len(found_beeps(*heard(target, tmp_path))) >= 3


def test_a_track_of_which_nothing_can_be_read_is_silence_as_long_as_the_picture(tmp_path):
    whole = capture(tmp_path / "whole.mkv", [(beeping(5, 48_000), 48_000, ("-c", "flac"))])
    source = rewritten(whole, tmp_path / "a.mkv", lambda packet, _: garbled(packet))
    target, record = clean(tmp_path, [source])
    assert record["tracks"][0]["unreadable_packets"] > 0
    samples = decoded(target)
    assert not samples.any()
    assert len(samples) == round_half_up(150 / NTSC * 48_000)


def test_a_sound_that_changes_its_format_on_the_way_keeps_its_time(tmp_path):
    for name, rate, start in (("a.ts", 48_000, 0), ("b.ts", 32_000, 5)):
        samples = beeping(5, rate, channels=2 if start else 1)
        sound = [*raw(tmp_path / "x.raw", samples, rate), "-f", "lavfi", "-i", "color=s=32x32:r=25"]
        codecs = ["-c:v", "mpeg2video", "-c:a", "mp2", "-frames:v", 125, "-output_ts_offset", start]
        run(*sound, *codecs, *ffmpeg.output_args(tmp_path / name, "mpegts"))
    source = tmp_path / "both.ts"
    source.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    target, record = clean(tmp_path, [source])
    assert record["tracks"][0]["sample_rate_hz"] == 48_000
    second_s = float(facts(tmp_path / "b.ts")[0].start_s - facts(tmp_path / "a.ts")[0].start_s)
    beeps = found_beeps(*heard(target, tmp_path))
    assert beeps == pytest.approx([k % 5 + 0.1 + (second_s if k > 4 else 0) for k in range(10)], abs=0.001)


def test_ready_scenes_are_joined_to_the_sample(tmp_path):
    names = ["it's one.mkv", 'two "2"\n.mkv', "-three.mkv", "four.mkv"]
    frames = [37, 11, 50, 7]
    total = round_half_up(sum(frames) / NTSC * 48_000)
    samples = np.random.default_rng(2).integers(-30_000, 30_000, (total + 5000, 1)).astype("<i2")
    sources, start = [], 0
    for name, count in zip(names, frames, strict=True):
        first, last = round_half_up(start / NTSC * 48_000), round_half_up((start + count) / NTSC * 48_000)
        # Sound that is longer than its picture, shorter, exact, and none at all.
        longer = {names[0]: 3000, names[1]: -1000}.get(name, 0)
        sounds = [] if name == names[3] else [(samples[first : last + longer], 48_000, PCM)]
        sources.append(capture(tmp_path / name, sounds, frames=count))
        start += count
    target, record = clean(tmp_path, sources)
    expected = samples[:total].copy()
    second_end = round_half_up(48 / NTSC * 48_000)
    expected[second_end - 1000 : second_end] = 0
    expected[round_half_up(98 / NTSC * 48_000) :] = 0
    assert np.array_equal(decoded(target), expected)
    assert record["tracks"][0]["trimmed"] == 3000


def test_hundreds_of_ready_scenes_do_not_drift(tmp_path):
    source = capture(tmp_path / "scene.mkv", [(beeping(0.5, 8000), 8000, PCM)], frames=7)
    take, sounds = facts(source)
    count = 300
    reached_s = []
    (laid,) = decode_to_timeline(
        sources=[source] * count,
        takes=[take] * count,
        sounds=sounds,
        paths=[tmp_path / "x.raw"],
        reached_s=reached_s.append,
    )
    assert reached_s == sorted(reached_s)
    assert reached_s[-1] == pytest.approx(7 * count / NTSC, abs=0.5)
    assert laid.counts.samples == round_half_up(7 * count / NTSC * 8000)
    samples = laid.samples()[:, 0]
    first = found_beeps(samples[:1860], 8000)[0]
    for k in range(0, count, 37):
        start = round_half_up(7 * k / NTSC * 8000)
        assert found_beeps(samples[start : start + 1860], 8000)[0] == first


@pytest.mark.parametrize("rate", [8000, 11_025, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("changes", [{"hum_hz": 50}, {"hiss_db": 12.0}, {"loudness_lufs": -20.0}])
def test_no_filter_moves_or_adds_a_sample(tmp_path, rate, changes):
    noise = np.random.default_rng(3).normal(0, 60, (4 * rate, 1))
    samples = (beeping(4, rate) * 0.7 + noise).astype("<i2")
    source = capture(tmp_path / "a.mkv", [(samples, rate, PCM)], frames=120)
    target, record = clean(tmp_path, [source], **changes)
    assert record["tracks"][0]["filters"]
    result = decoded(target)
    assert result.shape == samples.shape
    # Where the beep is the loudest match to the sample; the last one counts that nothing was cut at the end.
    assert found_beeps(result[:, 0] / 32768, rate) == pytest.approx([k + 0.1 for k in range(4)], abs=1.01 / rate)


def loudness(path):
    told = ffmpeg.run(
        ["-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"],
        concerns=path,
        timeout_s=60,
        verbosity="info",
    )
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", told)[-1]), float(re.findall(r"Peak:\s+(-?[\d.]+) dBFS", told)[-1])


def test_loudness_reaches_its_target_by_one_gain(tmp_path):
    # Without high frequencies, which loudness meters weigh differently at different sampling rates.
    speech = np.repeat(np.random.default_rng(4).normal(0, 900, (30_000, 2)), 8, axis=0)
    speech *= np.linspace(0.2, 1, 240_000)[:, None]
    source = capture(tmp_path / "a.mkv", [(speech.astype("<i2"), 48_000, PCM)])
    target, record = clean(tmp_path, [source], loudness_lufs=-23.0)
    track = record["tracks"][0]
    assert loudness(target)[0] == pytest.approx(-23, abs=0.15)
    assert track["loudness_before_lufs"] == pytest.approx(loudness(source)[0], abs=0.15)
    assert track["loudness_after_lufs"] == pytest.approx(-23, abs=0.05)
    gained = decoded(target) / np.where(speech.astype("<i2") == 0, np.inf, speech.astype("<i2"))
    loud = np.abs(speech) > 600
    assert np.allclose(gained[loud], 10 ** (track["gain_db"] / 20), rtol=0.01)


def test_a_loud_click_holds_the_gain_back(tmp_path):
    samples = np.random.default_rng(5).normal(0, 100, (240_000, 1)).astype("<i2")
    samples[100_000:100_004] = 20_000
    source = capture(tmp_path / "a.mkv", [(samples, 48_000, PCM)])
    target, record = clean(tmp_path, [source], loudness_lufs=-16.0, true_peak_db=-2.0)
    assert record["tracks"][0]["held_back_by_peak"] is True
    assert loudness(target)[1] == pytest.approx(-2, abs=0.3)


def test_silence_has_no_loudness_and_stays_silent(tmp_path):
    source = capture(tmp_path / "a.mkv", [(np.zeros((240_000, 1), "<i2"), 48_000, PCM)])
    target, record = clean(tmp_path, [source], loudness_lufs=-16.0, hiss_db=12.0)
    assert record["tracks"][0]["loudness_before_lufs"] is None
    assert record["tracks"][0]["noise_floor_db"] is None
    assert not decoded(target).any()


def level_db(samples, rate, frequency):
    """Level of one frequency, in dB of full scale."""
    wave = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / rate)
    return 20 * np.log10(2 * abs(samples @ wave) / len(samples) / 32768 + 1e-12)


def test_hum_goes_and_the_rest_stays(tmp_path):
    time = np.arange(480_000) / 48_000
    wave = sum(2000 * np.sin(2 * np.pi * f * time) for f in (50, 150, 400, 130, 1000))
    source = capture(tmp_path / "a.mkv", [(wave.astype("<i2")[:, None], 48_000, PCM)], frames=300)
    target, _ = clean(tmp_path, [source], hum_hz=50)
    before, after = wave[240_000:], decoded(target)[240_000:, 0].astype(float)
    for hum in (50, 150, 400):
        assert level_db(after, 48_000, hum) < level_db(before, 48_000, hum) - 25
    for tone in (130, 1000):
        assert level_db(after, 48_000, tone) == pytest.approx(level_db(before, 48_000, tone), abs=0.5)


@pytest.mark.parametrize("hiss", [30, 300])
def test_hiss_is_lowered_whatever_its_level(tmp_path, hiss):
    noise = np.random.default_rng(6).normal(0, hiss, (240_000, 1))
    source = capture(tmp_path / "a.mkv", [((beeping(5, 48_000) * 0.5 + noise).astype("<i2"), 48_000, PCM)])
    target, record = clean(tmp_path, [source], hiss_db=10.0)
    quiet = slice(60_000, 90_000)
    lowered = 20 * np.log10(np.std(noise[quiet]) / np.std(decoded(target)[quiet]))
    assert lowered > 6
    assert record["tracks"][0]["noise_floor_db"] == pytest.approx(20 * np.log10(hiss / 32768), abs=1)


@pytest.mark.parametrize("codec", ["flac", "pcm", "aac", "opus"])
def test_encoders_do_not_shift_the_sound(tmp_path, codec):
    source = capture(tmp_path / "a.mkv", [(beeping(5, 48_000), 48_000, PCM)])
    target, _ = clean(tmp_path, [source], codec=codec)
    assert_beeps(target, tmp_path, [k + 0.1 for k in range(5)])


def test_the_same_sound_makes_the_same_file(tmp_path):
    sounds = [(beeping(5, 48_000), 48_000, PCM), (beeping(3, 8000), 8000, PCM)]
    source = capture(tmp_path / "a.mkv", sounds)
    changes = {"codec": "aac", "hiss_db": 6.0, "loudness_lufs": -20.0}
    first = clean(tmp_path, [source], **changes)[0].read_bytes()
    assert clean(tmp_path, [source], **changes)[0].read_bytes() == first


def test_each_step_tells_how_far_it_is(tmp_path, monkeypatch, caplog):
    tell_all(monkeypatch, caplog)
    track = (beeping(5, 48_000), 48_000, PCM)
    source = capture(tmp_path / "a.mkv", [track, track])
    clean(tmp_path, [source], loudness_lufs=-20.0)
    take, _ = facts(source)
    steps = {}
    for word in progressed(caplog):
        assert word["total_frames"] == take.frames
        steps.setdefault(word["step"], []).append(word["frames"])
    assert list(steps) == ["reading", "measuring", "encoding", "checking"]
    for frames in steps.values():
        assert frames[-1] == pytest.approx(take.frames, abs=40)
    # Two tracks are read side by side, and looked at one after the other.
    assert steps["reading"] == sorted(steps["reading"])
    assert told_facts(caplog)["frames"] == take.frames


def test_a_capture_without_sound_makes_an_empty_file(tmp_path):
    target, record = clean(tmp_path, [capture(tmp_path / "a.mkv", [])])
    assert target.stat().st_size == 0
    assert record["tracks"] == []


def test_a_missing_capture_leaves_nothing_behind(tmp_path):
    source = capture(tmp_path / "a.mkv", [(beeping(1, 8000), 8000, PCM)])
    take, sounds = facts(source)
    source.unlink()
    target = tmp_path / "sound.mka"
    with pytest.raises(InputError, match="does not exist"):
        clean_sound(
            sources=[source],
            takes=[take],
            sounds=sounds,
            target=target,
            record=tmp_path / "sound.json",
            settings=AudioSettings(**DEFAULTS),
        )
    assert [path.name for path in tmp_path.iterdir() if "sound" in path.name] == []


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample media are not here")
def test_real_media(tmp_path):
    _, record = clean(tmp_path, [SAMPLES / "nasa_13013.mp4"])
    assert [(t["sample_rate_hz"], t["samples"]) for t in record["tracks"]] == [(8000, 104448), (16000, 208896)]
    take, _ = facts(SAMPLES / "video_with_failing_audio.mp4")
    _, record = clean(tmp_path, [SAMPLES / "video_with_failing_audio.mp4"])
    duration_s = record["tracks"][0]["samples"] / record["tracks"][0]["sample_rate_hz"]
    assert duration_s == pytest.approx(float(take.frames / take.rate), abs=0.1)


def test_the_finder_of_beeps_finds_beeps_and_nothing_else():
    assert found_beeps(beeping(3, 8000)[:, 0] / 32768, 8000) == pytest.approx([0.1, 1.1, 2.1])
    assert found_beeps(np.random.default_rng(7).normal(0, 0.05, 8000), 8000) == []
