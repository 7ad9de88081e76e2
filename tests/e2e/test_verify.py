"""`tapemill verify`: every damaged bit of a finished tape is found; and what changed on its way never gets into one."""

import random
import subprocess

import pytest

from tapemill.cli.main import main
from tapemill.storage.checksums import MANIFEST
from tapemill.verification.verify import VerifyOptions, verify_tape

TAPE = "results/T01"


@pytest.fixture
def inside(copy, monkeypatch):
    monkeypatch.chdir(copy.folder)
    return copy


def faults(project, **options):
    return [check for check in verify_tape(project.path(TAPE), VerifyOptions(**options)) if check.is_fault]


def flip(path, draw):
    """Flip one bit of a file; return how to flip it back."""
    data = bytearray(path.read_bytes())
    position, bit = draw.randrange(len(data)), 1 << draw.randrange(8)

    def apply():
        data[position] ^= bit
        path.write_bytes(data)

    apply()
    return apply


def documented(project):
    """All files of the tape but the pages of the report."""
    folder = project.path(TAPE)
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and path.stat().st_size
    )


def test_a_fresh_tape_is_intact_and_sha256sum_agrees(inside, capsys):
    assert main(["verify"]) == 0
    assert "1 tape is as recorded." in capsys.readouterr().out
    main(["doctor", "--only", "tapes"])
    assert "verified and have not changed since: 1" in capsys.readouterr().out
    inside.path(f"{TAPE}/T01.mkv").touch()
    main(["doctor", "--only", "tapes"])
    assert "changed since they were verified: T01" in capsys.readouterr().out
    assert main(["verify", "T01", "--clips", "--captures", "--decode"]) == 0
    out = capsys.readouterr().out
    assert "550 frames decoded" in out
    assert "captures/T01.mkv" in out
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", MANIFEST], cwd=inside.path(TAPE), check=True)


@pytest.mark.parametrize("flips", [150, pytest.param(1000, marks=pytest.mark.long)])
def test_every_flipped_bit_is_found(inside, flips):
    draw = random.Random(13)
    files = documented(inside)
    assert len(files) > 20
    for number in range(flips):
        path = files[number % len(files)]
        undo = flip(path, draw)
        assert faults(inside, clips=True), path
        undo()
    assert not faults(inside, clips=True)


@pytest.mark.parametrize("damage", ["changed", "empty", "gone"])
def test_a_damaged_tape_is_named_by_verify_same_doctor_and_clean(inside, capsys, damage):
    tape = inside.path(f"{TAPE}/T01.mkv")
    assert main(["verify", "--quiet"]) == 0
    if damage == "gone":
        tape.unlink()
    else:
        data = tape.read_bytes()
        tape.write_bytes(b"" if damage == "empty" else data[:1000] + bytes(4000) + data[5000:])
    capsys.readouterr()
    assert main(["verify"]) == 1
    assert (
        f"{'missing' if damage == 'gone' else 'changed':<10} {tape.relative_to(inside.folder)}"
        in capsys.readouterr().out
    )
    assert main(["same", TAPE, TAPE]) == (2 if damage == "gone" else 1)
    assert "byte for byte" not in capsys.readouterr().out
    main(["doctor", "--only", "tapes"])
    found = capsys.readouterr().out
    assert damage == "gone" or "found damaged: T01" in found
    before = set(inside.path(f"{TAPE}/enhanced").iterdir())
    cleaned = inside.run("clean_tapes")
    assert cleaned.exit_code == 0
    assert set(inside.path(f"{TAPE}/enhanced").iterdir()) == before
    assert "T01: not touched" in cleaned.output


def test_a_folder_with_the_name_of_a_tape_is_not_taken_for_it(inside, capsys):
    inside.path("T01").mkdir()
    assert main(["verify", "T01"]) == 0
    assert "results/T01/T01.mkv" in capsys.readouterr().out


def test_a_tape_of_which_nothing_is_recorded_is_not_called_intact(inside, capsys):
    for name in (MANIFEST, "provenance.json"):
        inside.path(f"{TAPE}/{name}").unlink()
    assert main(["verify", "T01"]) == 2
    assert "Nothing is recorded of 1 of 1 tapes." in capsys.readouterr().out


def test_clips_that_were_removed_by_clean_are_no_fault(inside, capsys):
    assert inside.run("clean_tapes").exit_code == 0
    assert not list(inside.path(f"{TAPE}/enhanced").glob("*.mkv"))
    capsys.readouterr()
    assert main(["verify", "--clips"]) == 0
    assert "removed" in capsys.readouterr().out


def test_a_tape_of_an_older_version_is_verified_as_far_as_it_was_recorded(inside, capsys):
    inside.path(f"{TAPE}/{MANIFEST}").unlink()
    assert main(["verify"]) == 0
    out = capsys.readouterr().out
    assert out.count("intact") == 4
    assert "of version 0.2 or older" in out


@pytest.mark.parametrize("name", ["enhanced/0000050.mkv", "sound.mka"])
def test_a_bit_that_flipped_in_a_part_does_not_get_into_the_tape(copy, finished, name):
    part = copy.path(f"{TAPE}/{name}")
    flip(part, random.Random(4))
    copy.path(f"{TAPE}/T01.mkv").unlink()
    refused = copy.run("all")
    assert refused.exit_code != 0
    assert "has changed since it was made" in refused.output
    assert not copy.path(f"{TAPE}/T01.mkv").exists()
    assert part.with_name(f"{part.stem}.damaged{part.suffix}").exists()
    again = copy.make("all")
    assert again.jobs["enhance_scene"] == (1 if "enhanced" in name else 0)
    assert copy.path(f"{TAPE}/T01.mkv").read_bytes() == finished.path(f"{TAPE}/T01.mkv").read_bytes()


def test_a_bit_that_flipped_in_a_cut_does_not_get_into_the_clip(copy, finished):
    """The cut has a checksum for each slice (FFV1), which is checked when it is decoded."""
    cut = copy.path(f"{TAPE}/scenes/0000050.mkv")
    copy.configure(disk={"keep_cuts": True})
    copy.path(f"{TAPE}/enhanced/0000050.mkv").unlink()
    copy.make(f"{TAPE}/scenes/0000050.mkv")
    draw = random.Random(5)
    whole = cut.read_bytes()
    position = draw.randrange(len(whole) // 2, len(whole) * 3 // 4)
    cut.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
    made = copy.run("all")
    damaged = copy.path(f"{TAPE}/T01.mkv").exists() and made.exit_code == 0
    assert not damaged or copy.path(f"{TAPE}/T01.mkv").read_bytes() == finished.path(f"{TAPE}/T01.mkv").read_bytes()
