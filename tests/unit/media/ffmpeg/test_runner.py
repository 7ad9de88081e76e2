import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tapemill.core.errors import SetupError, ToolFailed, ToolKilled, WriteFailed
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.ffmpeg.command import redact_paths
from tapemill.media.ffmpeg.exit_status import RunLimits, raise_for_exit_status
from tapemill.media.ffmpeg.limits import MAX_PIXELS, timeout_s
from tests.support.fakes.ffmpeg import program
from tests.support.project import ROOT

NO_LIMITS = {"forbidden_lines": [], "limits": RunLimits(30.0, None, None), "timed_out": False}
ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc=s=16x16", "-f", "null", "-"]


def test_any_file_name_is_a_file_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-i.mkv", 'it\'s "quoted".mkv', "line\nbreak.mkv", "100%d.mkv", "http:x.mkv", "b\udce4d.mkv"):
        made = ["-f", "lavfi", "-i", "testsrc=s=16x16:d=0.2", "-c:v", "ffv1"]
        ffmpeg.run([*made, *ffmpeg.output_args(Path(name), "matroska")], concerns=Path(name), timeout_s=30)
        assert Path(name).stat().st_size > 0
        ffmpeg.run([*ffmpeg.input_args(Path(name)), "-f", "null", "-"], concerns=Path(name), timeout_s=30)


def test_failure_tells_file_exit_code_and_last_words(tmp_path):
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"not media")
    with pytest.raises(ToolFailed) as caught:
        ffmpeg.run([*ffmpeg.input_args(broken), "-f", "null", "-"], concerns=broken, timeout_s=30)
    assert caught.value.file == broken
    assert caught.value.tool_exit_code != 0
    assert any("Invalid data" in line for line in caught.value.stderr_tail)


@pytest.mark.parametrize(
    "line",
    [
        "[out#0/matroska @ 0x5] Error opening output a.mkv: Input/output error",
        "[out#0/matroska @ 0x5] Error writing trailer: Input/output error",
        "[out#0/mp4 @ 0x5] Could not write header (incorrect codec parameters ?): Stale file handle",
    ],
)
def test_an_error_of_the_disk_while_writing_is_worth_another_attempt(tmp_path, line):
    with pytest.raises(WriteFailed, match="did not take"):
        raise_for_exit_status(251, concerns=tmp_path, tail=[line, "Conversion failed!"], **NO_LIMITS)


def test_an_error_of_the_disk_while_reading_is_one_of_the_file(tmp_path):
    lines = ["[in#0/avi @ 0x5] Error during demuxing: Input/output error"]
    with pytest.raises(ToolFailed):
        raise_for_exit_status(251, concerns=tmp_path, tail=lines, **NO_LIMITS)


def test_time_limit_kills_and_is_worth_another_attempt(tmp_path):
    with pytest.raises(ToolKilled, match="time limit"):
        ffmpeg.run(ENDLESS, concerns=tmp_path, timeout_s=0.5)
    assert not _children()


def test_it_says_how_many_pictures_are_encoded(tmp_path):
    reached = []
    made = ["-f", "lavfi", "-i", "testsrc=s=16x16:r=25:d=2", "-c:v", "ffv1"]
    target = ffmpeg.output_args(tmp_path / "a.mkv", "matroska")
    ffmpeg.run([*made, *target], concerns=tmp_path, timeout_s=30, reached=reached.append)
    assert reached[-1] == 50
    assert reached == sorted(reached)


def test_a_program_that_reports_nonsense_is_not_waited_for(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nprintf 'frame=7\\nframe=x\\n=\\nframe'\nhead -c 100000 /dev/zero\n")
    program.chmod(0o755)
    reached = []
    ffmpeg.set_binary(str(program))
    try:
        ffmpeg.run([], concerns=tmp_path, timeout_s=30, reached=reached.append)
    finally:
        ffmpeg.set_binary(None)
    assert reached == [7]


def test_the_time_limit_holds_for_one_that_reports_as_well(tmp_path):
    with pytest.raises(ToolKilled, match="time limit"):
        ffmpeg.run(ENDLESS, concerns=tmp_path, timeout_s=0.5, reached=lambda frames: None)
    assert not _children()


# At SIGTERM ffmpeg ends by itself, with an exit code.
@pytest.mark.parametrize(("number", "told"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGTERM, "a signal")])
def test_a_killed_ffmpeg_is_told_from_a_failed_one(tmp_path, number, told):
    endless = ffmpeg.pipe_out([*ENDLESS[:-3], "-f", "rawvideo", "pipe:1"], concerns=tmp_path, timeout_s=30)
    with pytest.raises(ToolKilled, match=told), endless as frames:
        frames.read(16)
        _children()[0].send_signal(number)
        frames.read()


def test_leaving_the_stream_early_ends_the_process(tmp_path):
    endless = ffmpeg.pipe_out([*ENDLESS[:-3], "-f", "rawvideo", "pipe:1"], concerns=tmp_path, timeout_s=30)
    with pytest.raises(KeyError), endless as frames:
        frames.read(16)
        raise KeyError
    assert not _children()


def test_ffmpeg_dies_with_a_job_that_is_killed(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tapemill.media import ffmpeg; print('up', flush=True);"
        f"ffmpeg.run({ENDLESS!r}, concerns=Path('x'), timeout_s=60)"
    )
    scripts = ROOT / "scripts"
    job = subprocess.Popen(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(scripts), "PATH": ""}, stdout=subprocess.PIPE
    )
    assert job.stdout.readline() == b"up\n"
    _wait(lambda: psutil.Process(job.pid).children())
    children = psutil.Process(job.pid).children()
    job.kill()
    job.wait()
    _wait(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("capture.ffconcat", "ffconcat version 1.0\nfile {address}/a.ts\n"),
        ("capture.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}/a.ts\n#EXT-X-ENDLIST\n"),
    ],
)
def test_playlists_open_no_addresses(tmp_path, name, text):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        playlist = tmp_path / name
        playlist.write_text(text.format(address=f"http://127.0.0.1:{server.getsockname()[1]}"))
        with pytest.raises(ToolFailed):
            ffmpeg.run([*ffmpeg.input_args(playlist), "-f", "null", "-"], concerns=playlist, timeout_s=30)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_configured_program_that_is_missing(tmp_path):
    ffmpeg.set_binary(str(tmp_path / "ffmpeg"))
    try:
        with pytest.raises(SetupError, match="could not be started"):
            ffmpeg.run(["-version"], concerns=tmp_path, timeout_s=5)
    finally:
        ffmpeg.set_binary(None)


def _children():
    return psutil.Process().children(recursive=True)


def _wait(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 10 s")


def _raw_video(path):
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "16x16", "-i", "pipe:0", "-c:v", "ffv1"]
    return [*raw, *ffmpeg.output_args(path, "matroska")]


def test_what_is_written_arrives_whole(tmp_path):
    target = tmp_path / "a.mkv"
    with ffmpeg.pipe_in(_raw_video(target), concerns=target, timeout_s=30) as stream:
        for level in range(40):
            stream.write(bytes([level]) * 256)
    with ffmpeg.pipe_out(
        [*ffmpeg.input_args(target), "-f", "rawvideo", "pipe:1"], concerns=target, timeout_s=30
    ) as pictures:
        assert pictures.read() == b"".join(bytes([level]) * 256 for level in range(40))


def test_a_reader_that_gives_up_early_tells_why(tmp_path):
    wrong = ["-f", "rawvideo", "-pix_fmt", "no_such_format", "-s", "16x16", "-i", "pipe:0", "-f", "null", "-"]
    with (
        pytest.raises(ToolFailed) as caught,
        ffmpeg.pipe_in(wrong, concerns=tmp_path, timeout_s=30) as stream,
    ):
        for _ in range(4000):
            stream.write(bytes(65_536))
    assert any("no_such_format" in line for line in caught.value.stderr_tail)
    assert not _children()


def test_a_writer_that_fails_leaves_no_process_behind(tmp_path):
    target = tmp_path / "a.mkv"
    with (
        pytest.raises(ValueError, match="no more"),
        ffmpeg.pipe_in(_raw_video(target), concerns=target, timeout_s=30) as stream,
    ):
        stream.write(bytes(256))
        raise ValueError("no more")
    assert not _children()


def test_an_output_that_grows_beyond_all_sense_is_stopped(tmp_path):
    target = tmp_path / "a.avi"
    noise = ["-f", "lavfi", "-i", "nullsrc=s=640x480:r=25,geq=random(1)*255:128:128", "-c:v", "rawvideo"]
    with pytest.raises(ToolFailed, match="stopped at 2 MB") as caught:
        ffmpeg.run(
            [*noise, *ffmpeg.output_args(target, "avi")], concerns=target, timeout_s=60, max_output_bytes=2_000_000
        )
    assert caught.value.remedy
    assert target.stat().st_size <= 2_000_000


def test_a_picture_beyond_all_sense_is_not_decoded(tmp_path):
    path = tmp_path / "a.mkv"
    made = ["-f", "lavfi", "-i", "testsrc=s=64x48:d=0.2", "-c:v", "ffv1"]
    ffmpeg.run([*made, *ffmpeg.output_args(path, "matroska")], concerns=path, timeout_s=30)
    reading = [*ffmpeg.input_args(path, options=ffmpeg.PICTURE_LIMIT), "-f", "null", "-"]
    ffmpeg.run(reading, concerns=path, timeout_s=30)
    with pytest.raises(ToolFailed):
        ffmpeg.run([word.replace(str(MAX_PIXELS), "3000") for word in reading], concerns=path, timeout_s=30)


def test_an_ffmpeg_that_takes_no_input_and_says_all_is_well_is_not_believed(tmp_path):
    ffmpeg.set_binary(str(program(tmp_path / "ffmpeg", ffmpeg.binary(), "nothing")))
    try:
        with (
            pytest.raises(ToolFailed, match="before it had read all"),
            ffmpeg.pipe_in(_raw_video(tmp_path / "a.mkv"), concerns=tmp_path, timeout_s=30) as stream,
        ):
            for _ in range(4000):
                stream.write(bytes(65_536))
    finally:
        ffmpeg.set_binary(None)


@pytest.mark.parametrize("work", [{"decoded": 1000, "samples": 10**6}, {"encoded": 100}, {"seconds": 5}])
def test_more_work_has_more_time(work):
    assert timeout_s(**work) > timeout_s()
    assert timeout_s(**{name: 2 * amount for name, amount in work.items()}) > timeout_s(**work)


def test_a_file_has_time_to_be_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(100 * 10**9)
    assert timeout_s(reads=[path]) > 3600


def test_a_command_is_described_without_places():
    source, target = Path("a b/tape.mkv"), Path("/home/anna/results/.partial/1f/T01/clip.mkv")
    arguments = ["-qsv_device", "/dev/dri/renderD129", *ffmpeg.input_args(source), "-vf", "crop=w=2:h='2'"]
    arguments += ["-stats", f"file:{target}.scratch/shown.txt", *ffmpeg.output_args(target, "matroska")]
    said = redact_paths(arguments, {target: "clip", source: "capture", "/dev/dri/renderD129": "card"})
    assert said.startswith("ffmpeg -hide_banner ")
    assert "-qsv_device {card} " in said
    assert " -i file:{capture} " in said
    assert said.endswith(" -stats file:{clip}.scratch/shown.txt -f matroska file:{clip}")
    assert shlex.split(said)[-6] == "crop=w=2:h='2'"
