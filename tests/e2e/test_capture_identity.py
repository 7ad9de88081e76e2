"""A capture is its content: what is read again when, and what happens if it is another."""

import json
import os
import shutil

import av
import pytest

from tapemill.capture.checksum import check_capture, hash_capture
from tapemill.records import known_content
from tapemill.storage.fingerprint import BLOCK_BYTES, BLOCKS, sha256

CAPTURE = "captures/T01.mkv"


def change_between_samples(path):
    """Change an audio sample that the fingerprint does not cover, and keep size and time."""
    data, about = bytearray(path.read_bytes()), path.stat()
    starts = [(len(data) - BLOCK_BYTES) * block // (BLOCKS - 1) for block in range(BLOCKS)]
    with av.open(path) as media:
        packets = [packet for packet in media.demux(audio=0) if packet.size]
        place = next(
            found
            for packet in packets
            if (found := data.find(bytes(packet), packet.pos)) > 0
            and all(not start - packet.size <= found <= start + BLOCK_BYTES for start in starts)
        )
    data[place + 100] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def dry_run(project):
    run = project.run("all", "-n")
    assert run.exit_code == 0, run.output
    return run.output


def test_other_content_between_the_sampled_blocks_makes_the_tape_anew(copy):
    change_between_samples(copy.path(CAPTURE))
    recorded = json.loads(copy.path("results/T01/capture_sha256.json").read_text())["files"][0]
    shown = dry_run(copy)
    assert "check_capture" in shown
    assert "enhance_scene" not in shown
    run = copy.run("all")
    assert run.exit_code == 1
    assert "this capture has other content than that which T01 was made of" in run.output
    assert not run.jobs
    # Nothing was made of it yet, and nothing is forgotten.
    assert json.loads(copy.path("results/T01/capture_sha256.json").read_text())["files"][0] == recorded
    assert "probe_capture" in dry_run(copy)
    jobs = copy.make("all").jobs
    assert jobs["enhance_scene"] == jobs["cut_scene"] == 4
    assert jobs["probe_capture"] == jobs["hash_capture"] == 1
    assert "check_capture" not in jobs
    now = json.loads(copy.path("results/T01/capture_sha256.json").read_text())["files"][0]
    assert now["sha256"] == sha256(copy.path(CAPTURE))
    assert now["fingerprint"].startswith(recorded["fingerprint"] + "-")
    assert not copy.make("all").jobs
    # It stays this capture when it moves.
    copy.path(CAPTURE).touch()
    assert dict(copy.make("all").jobs) == {"check_capture": 1}


def test_the_right_capture_put_back_makes_nothing_again(copy, tmp_path):
    shutil.copy2(copy.path(CAPTURE), tmp_path / "backup.mkv")
    change_between_samples(copy.path(CAPTURE))
    assert copy.run("all").exit_code == 1
    shutil.copy2(tmp_path / "backup.mkv", copy.path(CAPTURE))
    assert "probe_capture" not in dry_run(copy)
    assert dict(copy.make("all").jobs) == {"check_capture": 1}
    assert not copy.make("all").jobs


@pytest.fixture
def begun(copy):
    """A tape of which the scenes are found, and whose capture was not read to its end."""
    for path in ["results", ".snakemake"]:
        shutil.rmtree(copy.path(path))
    copy.make("results/T01/scenes.tsv")
    assert not copy.path("results/T01/capture_sha256.json").exists()
    return copy


def test_other_content_before_the_first_hash_makes_the_tape_anew(begun):
    probed = begun.path("results/T01/capture.json").stat().st_mtime_ns
    change_between_samples(begun.path(CAPTURE))
    run = begun.run("all")
    assert run.exit_code == 1
    assert "was written to or replaced after T01 was begun" in run.output
    begun.make("all")
    assert begun.path("results/T01/capture.json").stat().st_mtime_ns > probed
    now = json.loads(begun.path("results/T01/capture_sha256.json").read_text())["files"][0]
    assert now["sha256"] == sha256(begun.path(CAPTURE))
    assert not begun.make("all").jobs


def test_a_capture_that_moves_before_the_first_hash_stays_the_same(begun):
    probed = begun.path("results/T01/capture.json").stat().st_mtime_ns
    begun.path(CAPTURE).rename(begun.path("captures/elsewhere.mkv"))
    begun.sheet(
        {"tape": "T01", "source": "captures/elsewhere.mkv", "language": "en", "title": "Counting", "field_order": "tff"}
    )
    begun.make("all")
    assert begun.path("results/T01/capture.json").stat().st_mtime_ns == probed
    assert not begun.make("all").jobs


def test_of_a_folder_of_scenes_only_changed_files_are_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = [tmp_path / f"{number}.mkv" for number in (1, 2)]
    for source in sources:
        source.write_bytes(source.name.encode() * 1000)
    record = tmp_path / "capture_sha256.json"
    hash_capture(tape="T", sources=sources, target=record)
    written = record.read_bytes()
    sources[1].touch()
    read = []
    monkeypatch.setattr("tapemill.storage.fingerprint.sha256", lambda path: read.append(path) or sha256(path))
    target = known_content.check_file("T", known_content.capture_state(sources))
    assert not target.exists()
    check_capture(tape="T", sources=sources, record=record, target=target)
    assert read == sources[1:]
    assert target.exists()
    assert record.read_bytes() == written
