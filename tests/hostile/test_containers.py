"""Files that would make ffmpeg open other files, or addresses: none is opened, whatever the file is named."""

import struct
import subprocess

import pytest

from tapemill.capture.probe import CaptureSettings, probe_capture
from tapemill.config.schema import load_config
from tapemill.core.errors import InputError, ToolFailed
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.probe import open_media, probe
from tests.hostile.time_limits import lonely_server, opened_files
from tests.support.media.frame_codes import make_capture

HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n"
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S" minBufferTime="PT1S"
profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period duration="PT1S">
<AdaptationSet contentType="video" mimeType="video/mp4"><Representation id="1" bandwidth="1">
<BaseURL>{0}</BaseURL></Representation></AdaptationSet></Period></MPD>
"""
IMF = """<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">
<Id>urn:uuid:0</Id></CompositionPlaylist>"""
SVG = """<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e SYSTEM "{0}">]>
<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><image href="{0}" width="9" height="9"/>&e;</svg>"""
SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP/TCP 96\na=rtpmap:96 H264/90000\n"
)
SRT = "1\n00:00:00,000 --> 00:00:01,000\n<img src='{0}'><font face='{0}'>{{\\fn{0}}}{{\\1img({0})}}a\n"
ASS = "[Script Info]\nVideo File: {0}\n[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,{{\\1img({0})}}a\n"
VOBSUB = (
    "# VobSub index file, v7 (do not modify this line!)\n"
    "size: 64x48\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 0\n"
)
AVISYNTH = 'FFmpegSource2("{0}")\n'
# Name, text, whether an ffmpeg without our whitelists really goes there. {0} stands for the other file,
# {1} for the folder.
SCRIPTS = {
    "hls": ("a.m3u8", HLS, True),
    "hls named mkv": ("a.mkv", HLS, False),
    "hls, file:": ("a.m3u8", HLS.format("file:{1}/{0}"), True),
    "hls, subfile:": ("a.m3u8", HLS.format("subfile,,start,0,end,9999,,:{0}"), False),
    "hls, crypto:": ("a.m3u8", HLS.format("crypto:{0}"), False),
    "hls, concat:": ("a.m3u8", HLS.format("concat:{0}|{0}"), False),
    "hls, data:": ("a.m3u8", HLS.format("data:text/plain,{0}"), False),
    "hls, key": ("a.m3u8", HLS.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{0}"\n#EXTINF'), True),
    "concat script": ("a.ffconcat", "ffconcat version 1.0\nfile {0}\n", True),
    "concat script named mp4": ("a.mp4", "ffconcat version 1.0\nfile {0}\n", True),
    "dash": ("a.mpd", DASH.format("secret.mp4"), True),
    "dash named mkv": ("a.mkv", DASH.format("secret.mp4"), True),
    "imf": ("a.xml", IMF, False),
    "svg": ("a.svg", SVG, False),
    "srt": ("a.srt", SRT, False),
    "ass": ("a.ass", ASS, False),
    "vobsub": ("secret.idx", VOBSUB, True),
    "avisynth": ("a.avs", AVISYNTH, False),
    "metadata": ("a.txt", ";FFMETADATA1\nfile={0}\n", False),
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "a.ts"
    make_capture(path, frames=10, size=(64, 48), codec="mpeg2video", sound_start_s=None)
    return path


@pytest.fixture
def secret(tmp_path, recording):
    """A recording that nobody may open, beside the file that wants it to be opened, and a subtitle of the same name."""
    for name in ("secret.ts", "secret.mp4", "secret.sub", "secret1.png"):
        (tmp_path / name).write_bytes(recording.read_bytes())
    return "secret.ts"


def is_refused(path, *, opens):
    """The library does not touch any of the files that begin with "secret" (but the one it was given)."""
    settings = CaptureSettings(**load_config({})["capture"])
    facts = path.with_name("facts") / "capture.json"
    with opened_files(path.parent) as found:
        for refuse in (
            lambda: probe(path),
            lambda: probe_capture(
                source=path, target=facts, field_order="auto", display_aspect=None, settings=settings
            ),
        ):
            with pytest.raises(InputError):
                refuse()
        with pytest.raises(ToolFailed) as caught:
            ffmpeg.run([*ffmpeg.input_args(path), "-f", "null", "-"], concerns=path, timeout_s=30)
    assert [name for name in found if name.startswith("secret") and name != path.name] == []
    assert path.name in found
    assert not facts.exists()
    assert caught.value.stderr_tail
    # The same file without whitelists: what the test would prove nothing without.
    with opened_files(path.parent) as found:
        command = [ffmpeg.binary(), "-nostdin", "-y", "-i", f"file:{path}", "-t", "1", "-f", "null", "-"]
        subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert any(name.startswith("secret") and name != path.name for name in found) == opens


@pytest.mark.parametrize(("name", "text", "opens"), SCRIPTS.values(), ids=SCRIPTS)
def test_what_leads_to_other_files_leads_nowhere(tmp_path, secret, name, text, opens):
    path = tmp_path / name
    path.write_text(text.format(secret, tmp_path))
    is_refused(path, opens=opens)


def test_a_name_that_is_a_pattern_for_numbered_pictures(tmp_path, secret):
    path = tmp_path / "secret%d.png"
    path.write_bytes(b"not a picture")
    with opened_files(tmp_path) as found, pytest.raises(InputError):
        probe(path)
    assert "secret1.png" not in found
    with pytest.raises(ToolFailed):
        ffmpeg.run([*ffmpeg.input_args(path), "-f", "null", "-"], concerns=path, timeout_s=30)
    with opened_files(tmp_path) as found:
        command = [ffmpeg.binary(), "-nostdin", "-i", f"file:{path}", "-f", "null", "-"]
        subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert "secret1.png" in found


@pytest.mark.parametrize("scheme", ["http", "tcp", "tls", "rtmp", "ftp", "hls+http", "mmsh", "gopher"])
@pytest.mark.parametrize(("name", "text"), [("a.m3u8", HLS), ("a.ffconcat", "ffconcat version 1.0\nfile '{0}'\n")])
def test_no_address_is_called(tmp_path, name, text, scheme):
    with lonely_server() as address:
        path = tmp_path / name
        path.write_text(text.format(f"{scheme}://{address}/a.ts"))
        with pytest.raises(InputError):
            probe(path)
        with pytest.raises(ToolFailed):
            ffmpeg.run([*ffmpeg.input_args(path), "-f", "null", "-"], concerns=path, timeout_s=30)


@pytest.mark.parametrize("text", [DASH, SDP])
def test_no_address_of_a_manifest_is_called(tmp_path, text):
    with lonely_server() as address:
        path = tmp_path / "a.mpd"
        path.write_text(text.format(f"http://{address}/a.ts", port=address.partition(":")[2]))
        with pytest.raises(InputError):
            probe(path)
        with pytest.raises(ToolFailed):
            ffmpeg.run([*ffmpeg.input_args(path), "-f", "null", "-"], concerns=path, timeout_s=30)


def alias(path):
    """A QuickTime alias record with an absolute path: media that are in another file."""
    name = str(path).encode()
    name += b"\0" * (len(name) % 2)
    head = bytes(10) + bytes([0]) + bytes(27) + bytes(12) + bytes([0]) + bytes(63) + bytes(16) + bytes(4) + bytes(16)
    entry = bytes(4) + head + struct.pack(">hH", 2, len(name)) + name + struct.pack(">hH", -1, 0)
    return struct.pack(">I4s", len(entry) + 8, b"alis") + entry


def test_quicktime_references_to_other_files_are_not_followed(tmp_path, recording):
    whole = tmp_path / "whole.mov"
    ffmpeg.run(
        [*ffmpeg.input_args(recording), "-c", "copy", *ffmpeg.output_args(whole, "mov")], concerns=whole, timeout_s=30
    )
    data = whole.read_bytes()
    place = data.index(b"dref") - 4
    length = struct.unpack_from(">I", data, place)[0]
    secret = tmp_path / "secret.mov"
    secret.write_bytes(data)
    entry = alias(secret)
    patched = data[:place] + struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry + data[place + length :]
    grown = len(patched) - len(data)
    # The boxes around it, from the file's own down.
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = patched.index(name) - 4
        patched = patched[:at] + struct.pack(">I", struct.unpack_from(">I", patched, at)[0] + grown) + patched[at + 4 :]
    path = tmp_path / "a.mov"
    path.write_bytes(patched)
    with opened_files(tmp_path) as found:
        with open_media(path) as container:
            assert container.streams.video
        try:
            probe(path)
            ffmpeg.run([*ffmpeg.input_args(path), "-f", "null", "-"], concerns=path, timeout_s=30)
        except (InputError, ToolFailed):
            pass
    assert "secret.mov" not in found
    with opened_files(tmp_path) as found:
        asked = ["-enable_drefs", "1", "-use_absolute_path", "1"]
        command = [ffmpeg.binary(), "-nostdin", *asked, "-i", f"file:{path}", "-f", "null", "-"]
        subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert "secret.mov" in found


def test_a_matroska_attachment_is_not_written_anywhere(tmp_path, recording):
    (tmp_path / "font").write_bytes(b"\0\1\0\0" * 50)
    path = tmp_path / "a.mkv"
    attached = ["-attach", tmp_path / "font", "-metadata:s:t", "mimetype=font/ttf"]
    names = ["-metadata:s:t", f"filename=../../{tmp_path.name}/planted.ttf"]
    arguments = [*ffmpeg.input_args(recording), "-c", "copy", *attached, *names, *ffmpeg.output_args(path, "matroska")]
    ffmpeg.run(arguments, concerns=path, timeout_s=30)
    before = set(tmp_path.rglob("*"))
    assert probe(path).picture.width == 64
    ffmpeg.run([*ffmpeg.input_args(path), "-map", "0:v", "-f", "null", "-"], concerns=path, timeout_s=30)
    assert set(tmp_path.rglob("*")) == before


def test_every_kind_that_captures_come_in_is_known_to_both_libraries():
    import av

    done = subprocess.run([ffmpeg.binary(), "-hide_banner", "-demuxers"], capture_output=True, text=True, check=True)
    lines = [line[4:].split() for line in done.stdout.splitlines() if line.startswith((" D ", "  D"))]
    known = {name for words in lines if words for name in words[0].split(",")}
    wanted = set(ffmpeg.DEMUXERS.split(","))
    assert wanted <= known
    assert wanted <= {name for format in av.formats_available for name in format.split(",")}
    refused = {"hls", "concat", "dash", "sdp", "image2", "imf", "lavfi", "avisynth", "tedcaptions", "vobsub", "rtsp"}
    assert not wanted & refused
    assert {"hls", "concat", "dash", "sdp", "image2"} <= known
