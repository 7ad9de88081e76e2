"""Every kind of capture that the manual's table names, as a real file: taken with what there is to know, or refused."""

import itertools
import os
import re
import resource
import shlex
import threading
import time
import zipfile

import av
import numpy as np
import pytest

from tapemill.media.container_integrity import sniff_file_type
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.media import paff_h264
from tests.support.media.captures import X264, aged, copied, look, make, refused, remarks, run, shortened, written

KEY, KEY_ID = "00112233445566778899aabbccddeeff", "00112233445566778899aabbccddee00"


# What is no recording


def test_what_is_not_media_is_called_what_it_is(tmp_path):
    archive = tmp_path / "b.mkv"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "hello")
    noise = np.random.default_rng(3).bytes(100_000)
    for name, content, words in [
        ("a.avi", b"Dear grandmother,\nhere are the tapes.\n" * 40, "it is text"),
        ("b.mkv", archive.read_bytes(), "it is a ZIP archive"),
        ("c.mp4", b"", "it is empty"),
        ("d.dv", bytes(50_000), "it is nothing but zeros"),
        ("e.mkv", b"\x1a\x45\xdf\xa3" + bytes(500), "the beginning of a Matroska file"),
        ("f.mkv", noise, "cannot be read as media"),
    ]:
        refused(written(tmp_path / name, content), words)


def test_a_file_without_a_picture_is_refused(tmp_path):
    sound = tmp_path / "sound.mkv"
    run("-f", "lavfi", "-i", "sine=d=1", *ffmpeg.output_args(sound, "matroska"))
    refused(aged(sound), "no video")


def test_a_cover_is_no_picture(tmp_path):
    cover, song = tmp_path / "cover.png", tmp_path / "song.mp4"
    run("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", 1, *ffmpeg.output_args(cover, "image2"))
    run("-f", "lavfi", "-i", "sine=d=1", "-i", cover, "-map", 0, "-map", 1, "-c:v", "copy", "-disposition:v:0",
        "attached_pic", *ffmpeg.output_args(song, "mp4"))  # fmt: skip
    refused(aged(song), "no video but a cover")


def test_a_recording_without_frames_is_refused(tmp_path):
    empty = make(tmp_path / "empty.mp4", "-frames:v", "0", sound=False)
    refused(empty, "no frames|no video|cannot be read")


def test_a_capture_without_sound_is_taken(tmp_path):
    assert look(make(tmp_path / "a.mkv", sound=False)).sounds == ()


# What is cut off


@pytest.mark.parametrize("kind", ["mkv", "avi", "mp4"])
def test_a_capture_that_is_cut_off_is_taken_only_if_the_settings_say_so(tmp_path, kind):
    whole = make(tmp_path / f"a.{kind}", *(["-movflags", "+faststart"] if kind == "mp4" else []))
    assert remarks(look(whole)) == ""
    cut = shortened(whole)
    message = refused(cut, "cut off", "allow_truncated")
    readable, stated = (
        float(number) for number in re.search(r"([\d.]+) s of ([\d.]+) s can be read", message).groups()
    )
    assert stated == pytest.approx(4, abs=0.1)
    capture = look(cut, allow_truncated=True)
    assert float(capture.frames / capture.picture.rate) == pytest.approx(readable, abs=0.1)
    assert 1 < readable < 3.5
    assert "cut off" in remarks(capture)


def test_of_equal_packets_the_last_has_to_be_whole(tmp_path):
    whole = make(tmp_path / "a.ts")
    assert remarks(look(whole)) == ""
    cut = written(tmp_path / "cut.ts", whole.read_bytes()[: -188 * 200 - 50])
    refused(cut, "cut off", r"138 bytes are missing|50 bytes are missing", "its full length is unknown")
    assert "cut off" in remarks(look(cut, allow_truncated=True))
    dv = make(tmp_path / "a.dv", "-c:v", "dvvideo", "-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2", seconds=1,
              picture="testsrc2=s=720x576:r=25")  # fmt: skip
    assert look(dv).frames == 25
    refused(written(tmp_path / "cut.dv", dv.read_bytes()[:-1_000_000]), "cut off", r"0\.\d s can be read")


def test_an_mp4_without_its_index_cannot_be_read_at_all(tmp_path):
    cut = shortened(make(tmp_path / "a.mp4"))
    refused(cut, "without its index", allow_truncated=True)


@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_a_fragmented_mp4_with_a_hole_hides_all_that_follows(tmp_path, filler):
    whole = make(tmp_path / "a.mp4", "-g", "25", "-movflags", "frag_keyframe+empty_moov")
    assert remarks(look(whole)) == ""
    data = whole.read_bytes()
    third = [match.start() for match in re.finditer(b"moof", data)][2]
    holed = written(tmp_path / "holed.mp4", data[: third - 100] + 200 * filler + data[third + 100 :])
    refused(holed, rf"{len(data) - third + 4} bytes are behind a damaged place\): 2.0 s can be read", "allow_truncated")
    assert "damaged place" in remarks(look(holed, allow_truncated=True))


def test_a_header_that_promises_much_more_than_there_is(tmp_path):
    # Not a byte is missing that the container knows of: it was written anew with an old header.
    whole = make(tmp_path / "a.mkv")
    data = bytearray(whole.read_bytes())
    place = data.index(b"\x44\x89\x88")  # Duration, a float of 8 bytes
    data[place + 3 : place + 11] = np.array([60_000.0]).astype(">f8").tobytes()
    refused(written(tmp_path / "b.mkv", bytes(data)), r"4\.\d s of 60\.0 s can be read")


# What cannot be read


@pytest.mark.parametrize("scheme", ["cenc-aes-ctr"])
def test_an_encrypted_capture_is_refused(tmp_path, scheme):
    plain = make(tmp_path / "a.mp4", "-c:a", "aac")
    options = ["-encryption_scheme", scheme, "-encryption_key", KEY, "-encryption_kid", KEY_ID]
    refused(copied(plain, tmp_path / "b.mp4", *options), "encrypted")


def test_a_scrambled_transport_stream_is_refused(tmp_path):
    data = bytearray(make(tmp_path / "a.ts").read_bytes())
    for place in range(0, len(data), 188):
        identity = int.from_bytes(data[place + 1 : place + 3], "big") & 0x1FFF
        if identity in (256, 257):  # picture and sound, where ffmpeg puts them; tables stay clear
            data[place + 3] |= 0x80
    refused(written(tmp_path / "b.ts", bytes(data)), "encrypted")


def test_a_capture_that_can_be_decoded_nowhere_is_refused_and_one_that_can_elsewhere_is_taken(tmp_path):
    whole = make(tmp_path / "a.mkv", "-c:v", "ffv1", sound=False)
    noise = np.random.default_rng(1).integers(0, 256, 1_000_000, dtype=np.uint8).tobytes()
    for share, taken in ((0.0, False), (0.5, True)):
        path = tmp_path / f"{share}.mkv"
        rewrite(whole, path, lambda number, data, share=share: data if number < 100 * share else noise[: len(data)])
        if taken:
            assert "of 12 positions no frame can be decoded: 00:00:02" in remarks(look(path))
        else:
            refused(path, "could be decoded|can be decoded")


def rewrite(source, target, change):
    """Copy the pictures of a file, their data changed."""
    import av

    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(p for p in container.demux(video=0) if p.size):
            other = av.Packet(change(number, bytes(packet)))
            other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
            other.is_keyframe, other.stream = packet.is_keyframe, stream
            out.mux(other)
    return aged(target)


def test_a_recording_that_begins_in_the_middle_is_taken(tmp_path):
    data = make(tmp_path / "a.ts").read_bytes()
    begun = len(data) // 5 // 188 * 188
    # The tables come first, what follows them begins between two key frames.
    capture = look(written(tmp_path / "b.ts", data[: 3 * 188], data[begun:]))
    assert 70 <= capture.frames <= 82


# What is still being written


def test_a_capture_that_grows_while_it_is_read_is_refused(tmp_path):
    data = make(tmp_path / "a.ts").read_bytes()
    path = tmp_path / "b.ts"
    path.write_bytes(data[:188_000])
    ended = threading.Event()

    def record():
        with path.open("ab") as stream:
            for start in itertools.count(188_000, 1880):
                if ended.is_set():
                    return
                stream.write(data[start % len(data) :][:1880])
                stream.flush()
                time.sleep(0.05)

    recorder = threading.Thread(target=record)
    recorder.start()
    try:
        refused(path, "still being written", "wait until")
    finally:
        ended.set()
        recorder.join()


def test_a_fresh_capture_is_looked_at_twice_and_taken(tmp_path):
    path = make(tmp_path / "a.mkv")
    os.utime(path)
    assert look(path).frames == 100


def test_a_recording_that_cannot_be_read_yet_is_said_to_be_growing(tmp_path, monkeypatch):
    data = make(tmp_path / "a.mp4").read_bytes()
    path = tmp_path / "b.mp4"
    path.write_bytes(data[:5000])  # no index yet, and it was written to just now

    def grows(_seconds):
        path.write_bytes(data[:6000])

    monkeypatch.setattr(time, "sleep", grows)
    refused(path, "still being written")


# Absurd


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"largest_side": 63}, "64 × 48, larger"),
        ({"highest_rate": 24.9}, "25 frames a second"),
        ({"longest_h": 0.001}, "hours, longer"),
        ({"longest_gap_s": 0.01}, "jump by"),
    ],
)
def test_limits_are_settings(tmp_path, settings, words):
    path = make(tmp_path / "a.mkv", sound=False)
    assert look(path).frames == 100
    refused(path, words, f"capture.{next(iter(settings))}", **settings)


@pytest.mark.parametrize(
    ("side", "words"),
    [
        (4128, "4128 × 4128, larger|no frame could be decoded"),
        (64_000, "no frame could be decoded|unknown|no frames"),
    ],
)
def test_a_forged_size_is_refused_and_takes_no_memory(tmp_path, side, words):
    raw = tmp_path / "a.h264"
    raw.write_bytes(paff_h264.elementary_stream(25, stated_side=side))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(copied(raw, tmp_path / "a.ts", before=["-f", "h264"]), words)
    # 64000 × 64000 pictures would take 6 GB each.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


# Clocks


RENUMBER = (
    "-map 0:v:0 -map 0:a? -vf setpts=N/(25)/TB -af asetpts=N/SR/TB -fps_mode passthrough -c:v ffv1 -g 1 -c:a flac"
)


def reset_clock(path):
    """Let a recording follow itself in its own container, with its own time stamps again."""
    data = path.read_bytes()
    if path.suffix == ".flv":
        return written(path.with_name(f"b{path.suffix}"), data, data[13:])
    cluster, size_bytes = data.index(b"\x1f\x43\xb6\x75"), 8
    segment = data.index(b"\x18\x53\x80\x67") + 4
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    body = data[segment + size_bytes : cues] + data[cluster:cues]
    head = data[:segment] + (1 << 56 | len(body)).to_bytes(8, "big")
    return written(path.with_name(f"b{path.suffix}"), head, body)


@pytest.mark.parametrize("suffix", [".ts", ".vob", ".mkv", ".flv", ".avi", ".mp4", ".mov"])
def test_recordings_that_are_joined_in_a_file_follow_one_another(tmp_path, suffix):
    part = make(tmp_path / f"a{suffix}")
    joined = written(tmp_path / f"b{suffix}", part, part)
    capture = look(joined)
    assert [take.frames for take in capture.takes] == [100, 100]
    assert [take.drops + take.duplicates for take in capture.takes] == [0, 0]
    assert "2 recordings are joined" in remarks(capture)


def test_joined_recordings_whose_border_cannot_be_found_are_refused_and_the_remedy_works(tmp_path, monkeypatch):
    part = make(tmp_path / "a.ts")
    joined = written(tmp_path / "b.ts", part, part)
    monkeypatch.setattr("tapemill.capture.joined_recordings.find_head", lambda *_: None)
    refused(joined, r"jump back from 5\.\d s to 1\.\d s", r"-vf setpts=N/\(25\)/TB -af asetpts=N/SR/TB")
    new = tmp_path / "c.mkv"
    run("-i", joined, *RENUMBER.split(), *ffmpeg.output_args(new, "matroska"))
    assert look(aged(new)).frames == 200


@pytest.mark.parametrize(("suffix", "codec"), [(".ts", ()), (".ts", X264), (".mkv", ())])
def test_joined_recordings_with_other_stream_numbers_are_refused_and_the_remedy_works(tmp_path, suffix, codec):
    first = make(tmp_path / f"a{suffix}", *codec)
    second = copied(first, tmp_path / f"b{suffix}", "-map", "-0:v", "-map", "0:v")
    joined = written(tmp_path / f"c{suffix}", first, second)

    message = refused(joined, "2 recordings are joined in this file, and recording 2 numbers its streams otherwise")

    folder = tmp_path / "folder"
    folder.mkdir()
    for command in re.findall(r"ffmpeg (-i .*?\.mkv)", message):
        run(*shlex.split(command.replace("FILE", f"file:{joined}").replace("FOLDER", f"file:{folder}")))
    for clip in folder.iterdir():
        aged(clip)
    assert [take.frames for take in look(folder).takes] == [100, 100]


@pytest.mark.parametrize("suffix", [".flv", ".mkv"])
def test_a_clock_that_is_reset_within_one_recording_is_refused_and_the_remedy_works(tmp_path, suffix):
    joined = reset_clock(make(tmp_path / f"a{suffix}"))
    refused(joined, r"jump back from 4\.0 s to 0\.0 s", r"-vf setpts=N/\(25\)/TB")
    new = tmp_path / "c.mkv"
    run("-i", joined, *RENUMBER.split(), *ffmpeg.output_args(new, "matroska"))
    assert look(aged(new)).frames == 200


def test_a_clock_that_runs_over_goes_on(tmp_path):
    part = make(tmp_path / "a.ts", "-output_ts_offset", 2**33 / 90_000 - 2, "-muxdelay", "0")
    capture = look(part)
    assert (capture.frames, capture.takes[0].irregular) == (100, False)


def test_few_key_frames_are_refused_only_if_it_costs_too_much(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mp4", "-g", "1000", "-sc_threshold", "0", sound=False)
    assert look(path).frames == 100
    monkeypatch.setattr("tapemill.capture.time_checks.MAX_KEYFRAME_DISTANCE_S", 3)
    refused(path, "no key frame for 4 s from 00:00:00.000 on", "ffv1")


def test_an_avi_with_b_frames_has_each_picture_once(tmp_path):
    capture = look(make(tmp_path / "a.avi"))
    assert (capture.frames, capture.takes[0].irregular) == (100, False)


# Pictures


@pytest.mark.parametrize("at_s", [1, 3])
def test_a_size_that_changes_on_the_way_is_refused_with_the_time(tmp_path, at_s):
    parts = []
    for number, (size, start, length) in enumerate((("64x48", 0, at_s), ("128x96", at_s, 4 - at_s))):
        part = tmp_path / f"{number}.ts"
        make(part, "-output_ts_offset", start + 1, "-muxdelay", "0", picture=f"testsrc2=s={size}:r=25", seconds=length,
             sound=False)  # fmt: skip
        parts.append(part)
    message = refused(written(tmp_path / "a.ts", *parts), "from 64 × 48 to 128 × 96 at about 00:00:0")
    found = float(re.search(r"at about 00:00:([\d.]+)", message).group(1))
    # A decoder may lose the last picture before.
    assert at_s - 0.04 <= found <= at_s


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("kind", ["ts", "mkv", "mp4"])
def test_pictures_stored_as_single_fields_count_once(tmp_path, kind, mixed):
    raw = tmp_path / "a.h264"
    raw.write_bytes(paff_h264.elementary_stream(50, mixed=mixed))
    path = copied(raw, tmp_path / f"a.{kind}", before=["-f", "h264"])
    capture = look(path, field_order="tff")
    assert (capture.frames, capture.picture.rate, capture.takes[0].irregular) == (50, 25, False)
    assert "PAFF" in remarks(capture)


def test_one_picture_is_a_capture(tmp_path):
    capture = look(make(tmp_path / "a.mkv", "-frames:v", "1", sound=False))
    assert capture.frames == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-vf", "scale=63:47", "-pix_fmt", "yuv444p"), {"width": 63, "height": 47}),
        (("-pix_fmt", "yuv422p10le"), {"bit_depth": 10}),
        (("-vf", "transpose"), {"width": 48, "height": 64}),
    ],
)
def test_odd_sizes_and_depths_are_taken(tmp_path, options, expected):
    picture = look(make(tmp_path / "a.mkv", *options, sound=False)).picture
    assert {name: getattr(picture, name) for name in expected} == expected


def test_several_sound_tracks_are_all_found(tmp_path):
    path = make(tmp_path / "a.mkv", "-map", "0", "-map", "1", "-map", "1")
    assert len(look(path).sounds) == 2


def test_a_file_that_is_text_in_another_alphabet_has_no_name(tmp_path):
    assert sniff_file_type(written(tmp_path / "a", "grüße".encode())) is None


@pytest.mark.parametrize("name", ["a.h264", "a.rm"])
def test_other_kinds_are_refused_and_the_remedy_converts_them(tmp_path, name):
    other = tmp_path / name
    codecs = ("-c:v", "libx264", "-bf", "2", "-an", "-f", "h264") if name == "a.h264" else ("-c:v", "rv10", "-f", "rm")
    run("-f", "lavfi", "-i", "testsrc2=s=176x144:r=25:d=2", *codecs, f"file:{other}")
    refused(aged(other), "-map 0:v:0 -map 0:a[?] -c:v ffv1 -g 1 -c:a flac")
    new = tmp_path / "new.mkv"
    words = "-map 0:v:0 -map 0:a? -c:v ffv1 -g 1 -c:a flac"
    run("-i", other, *words.split(), *ffmpeg.output_args(new, "matroska"))
    assert look(aged(new)).frames == 50


def test_of_several_programmes_only_the_sound_of_the_picture_is_taken(tmp_path):
    path = tmp_path / "a.ts"
    inputs = [word for size in ("64x48", "128x96") for word in ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=2")]
    inputs += [word for tone in (300, 900) for word in ("-f", "lavfi", "-i", f"sine={tone}:d=2")]
    maps = ("-map", 0, "-map", 1, "-map", 2, "-map", 3, "-program", "st=0:st=2", "-program", "st=1:st=3")
    run(*inputs, *maps, "-c:v", "mpeg2video", "-c:a", "mp2", *ffmpeg.output_args(path, "mpegts"))
    capture = look(aged(path))
    assert capture.picture.width == 128
    with av.open(str(path)) as container:
        second = container.streams.audio[1].index
    assert [sound.stream_index for sound in capture.sounds] == [second]
