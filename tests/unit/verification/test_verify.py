"""Verification of a tape: each file that is not what it was is found, and each is read as far as it is asked for."""

import shutil

import av
import pytest

from tapemill.core.result_paths import CAPTURE_CHECKSUM
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.provenance.load import LoadedProvenance, read_document
from tapemill.records.capture import CaptureHashes, HashedFile
from tapemill.storage.checksums import MANIFEST, write_checksums
from tapemill.storage.fingerprint import fingerprint, sha256
from tapemill.verification.verify import FileCheck, VerifyOptions, check_file, check_results, verify_tape
from tests.support.records import PROVENANCE_FORMAT_2, write_record

FRAMES = 10
LARGE = ("enhanced/0000000.mkv", "audio/0000000.wav", "sound.mka")


def video(path, codec="ffv1", container="matroska", options=()):
    """Ten frames with a tone."""
    sources = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-f", "lavfi", "-i", "sine=r=8000"]
    length = ["-frames:v", str(FRAMES), "-t", str(FRAMES / 25)]
    coding = ["-c:v", codec, *options, "-pix_fmt", "yuv420p", "-c:a", "flac", *ffmpeg.BITEXACT]
    ffmpeg.run([*sources, *length, *coding, *ffmpeg.output_args(path, container)], concerns=path, timeout_s=60)
    return path


def remuxed(source, target, frame, change):
    """Copy the video of a file and change the packet of one frame."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(each for each in given.demux(video=0) if each.size):
            copy = av.Packet(change(bytes(packet)) if number == frame else bytes(packet))
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, stream
            made.mux(copy)
    return target


@pytest.fixture
def tape(tmp_path):
    folder = tmp_path / "results" / "T01"
    for name in ("T01.srt", "T01.vtt", *LARGE):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    video(folder / "T01.mkv")
    record(folder)
    return folder


def record(folder):
    names = ("T01.mkv", "T01.srt", "T01.vtt", *LARGE)
    write_checksums(folder, {name: sha256(folder / name) for name in names})


def states(folder, *, captures=(), reached=None, **options):
    checks = verify_tape(folder, VerifyOptions(**options), captures=captures, reached=reached)
    return [(str(check.path.relative_to(folder.parent.parent)), check.state) for check in checks]


def test_the_tape_and_its_subtitles_are_read_and_large_parts_on_request(tape):
    small = [("results/T01/T01.mkv", "intact"), ("results/T01/T01.srt", "intact"), ("results/T01/T01.vtt", "intact")]
    assert states(tape) == small
    assert set(states(tape, clips=True)) == {*small, *((f"results/T01/{name}", "intact") for name in LARGE)}
    (tape / "enhanced/0000000.mkv").unlink()
    assert ("results/T01/enhanced/0000000.mkv", "removed") in states(tape, clips=True)


def test_progress_is_reported_for_each_file(tape):
    reached = []
    states(tape, reached=lambda path, done, size: reached.append((path.name, done, size)))
    size = (tape / "T01.mkv").stat().st_size
    assert ("T01.mkv", size, size) in reached
    assert {name for name, _, _ in reached} == {"T01.mkv", "T01.srt", "T01.vtt"}


def test_a_tape_of_which_nothing_is_recorded_is_not_called_intact(tape):
    (tape / MANIFEST).unlink()
    assert states(tape) == [("results/T01", "unrecorded")]


def test_a_damaged_manifest_is_a_fault_by_itself(tape):
    (tape / MANIFEST).write_text("damaged\n")
    (check,) = verify_tape(tape, VerifyOptions())
    assert (check.path, check.state, check.is_fault) == (tape / MANIFEST, "damaged", True)


def test_a_tape_of_an_older_version_is_verified_as_far_as_it_was_recorded(tape):
    (tape / MANIFEST).unlink()
    shutil.copy(PROVENANCE_FORMAT_2, tape / "provenance.json")
    found = dict(states(tape))
    assert found["results/T01/T01.mkv"] == "changed"
    assert found[f"results/T01/{MANIFEST}"] == "unrecorded"


@pytest.mark.parametrize(
    ("name", "content", "state", "detail"),
    [
        ("T01.mkv", None, "missing", "restore it from a copy"),
        ("T01.mkv", "", "changed", "it is empty"),
        ("T01.mkv", "other", "changed", "its SHA-256 is"),
        ("T01.srt", "other", "changed", "if somebody corrected it"),
    ],
)
def test_a_file_that_is_not_what_it_was_is_a_fault(tape, name, content, state, detail):
    was = sha256(tape / name)
    if content is None:
        (tape / name).unlink()
    else:
        (tape / name).write_text(content)
    check = check_file(tape / name, was)
    assert (check.state, check.is_fault) == (state, True)
    assert detail in check.detail
    assert (f"results/T01/{name}", state) in states(tape)


def test_a_file_that_cannot_be_read_is_damaged(tmp_path):
    # As good as a bad sector: reading a folder fails, too.
    check = check_file(tmp_path, "0" * 64)
    assert (check.state, check.detail) == ("damaged", "it cannot be read: Is a directory")


@pytest.fixture
def capture(tape, tmp_path):
    files = [tmp_path / f"{number}.dv" for number in (1, 2)]
    for path in files:
        path.write_text(path.name)
    hashed = tuple(HashedFile(path.name, path.stat().st_size, fingerprint(path), sha256(path)) for path in files)
    write_record(tape / CAPTURE_CHECKSUM, CaptureHashes(hashed))
    return files


def of_captures(tape, captures):
    return [
        (check.path.name, check.state)
        for check in verify_tape(tape, VerifyOptions(captures=True), captures=captures)
        if not check.path.name.startswith("T01.")
    ]


def test_captures_are_read_as_far_as_they_are_there(tape, capture):
    assert of_captures(tape, capture) == [("1.dv", "intact"), ("2.dv", "intact")]
    capture[0].write_text("other")
    # A finished tape needs no capture.
    capture[1].unlink()
    assert of_captures(tape, capture) == [("1.dv", "changed"), ("2.dv", "removed")]


def test_another_number_of_files_is_another_capture(tape, capture):
    assert of_captures(tape, capture[:1]) == [("T01", "unrecorded")]


def test_a_capture_whose_record_is_gone_or_damaged_is_not_called_intact(tape, capture):
    (tape / CAPTURE_CHECKSUM).write_text("{")
    assert of_captures(tape, capture) == [(CAPTURE_CHECKSUM, "damaged")]
    (tape / CAPTURE_CHECKSUM).unlink()
    assert of_captures(tape, capture) == [(CAPTURE_CHECKSUM, "unrecorded")]


def decoded(tape):
    """Result of decoding the tape, whatever its hash is."""
    record(tape)
    (check,) = (
        check for check in verify_tape(tape, VerifyOptions(decode=True)) if check.state != "intact" or check.detail
    )
    return check


def test_all_frames_and_samples_of_a_good_tape_are_decoded(tape):
    assert decoded(tape) == FileCheck(tape / "T01.mkv", "intact", f"{FRAMES} frames decoded")


@pytest.mark.parametrize(
    ("codec", "change", "detail"),
    [
        ("ffv1", lambda data: data[:4], "it cannot be decoded to its end"),
        ("mpeg4", lambda data: data[:-3], "frame 5 is corrupt"),
        ("mpeg2video", lambda data: data[: len(data) // 2], "9 of 10 frames can be decoded"),
    ],
)
def test_a_frame_that_was_damaged_before_its_hash_was_taken_is_found_by_decoding(tape, codec, change, detail):
    source = video(tape.parent / "source.mkv", codec, options=("-g", "10", "-bf", "0"))
    remuxed(source, tape / "T01.mkv", 5, change)
    check = decoded(tape)
    assert (check.path, check.state) == (tape / "T01.mkv", "damaged")
    assert check.detail.startswith(detail)


def test_what_is_no_media_cannot_be_decoded(tape):
    (tape / "T01.mkv").write_text("no media")
    assert decoded(tape).state == "damaged"


def test_a_tape_that_is_gone_is_missing_and_not_decoded(tape):
    (tape / "T01.mkv").unlink()
    found = [(check.path.name, check.state) for check in verify_tape(tape, VerifyOptions(decode=True))]
    assert found == [("T01.mkv", "missing"), ("T01.srt", "intact"), ("T01.vtt", "intact")]


def test_results_beside_a_provenance_are_read_and_one_that_lies_alone_has_none(tape, tmp_path):
    document = read_document(PROVENANCE_FORMAT_2)
    beside = LoadedProvenance(tape / "provenance.json", document, {})
    assert {check.path.name: check.state for check in check_results(beside)}["T01.mkv"] == "changed"
    (tape / "T01.srt").unlink()
    assert {check.path.name: check.state for check in check_results(beside)}["T01.srt"] == "missing"
    alone = LoadedProvenance(tmp_path / "provenance.json", document, {})
    assert list(check_results(alone)) == []
    (tmp_path / "T01.mkv").touch()
    assert {check.path.name: check.state for check in check_results(alone)}["T01.mkv"] == "changed"
    assert list(check_results(LoadedProvenance(tape / "T01.mkv", None, {}))) == []
