"""What the rule `clean` and the setting `keep_cuts` do to a finished tape, and what they never make again."""

import pytest

from tapemill.process.results_lease import LEASE
from tapemill.storage.checksums import MANIFEST
from tests.support.project import digest

SCENES = ("0000000", "0000050", "0000100", "0000150")
REMOVED = {*(f"enhanced/{scene}.mkv" for scene in SCENES), *(f"audio/{scene}.wav" for scene in SCENES), "sound.mka"}


def tape_files(project):
    top = project.path("results/T01")
    return {
        str(path.relative_to(top)): digest(path) for path in top.rglob("*") if path.is_file() and path.name != LEASE
    }


def test_after_clean_there_is_nothing_to_do(copy):
    before = tape_files(copy)
    run = copy.make("clean_tapes")
    assert "T01: 9 files removed" in run.output
    assert "are free again" in run.output
    assert tape_files(copy) == {name: content for name, content in before.items() if name not in REMOVED}
    assert not copy.make("all").jobs


@pytest.mark.long
def test_after_clean_the_same_tape_can_be_made_again(copy):
    before = tape_files(copy)
    copy.make("clean_tapes")
    copy.path("results/T01/T01.mkv").unlink()
    jobs = copy.make("all").jobs
    assert jobs["enhance_scene"] == jobs["cut_scene"] == len(SCENES)
    assert not jobs["transcribe_scene"]
    made = tape_files(copy)
    # The audio for recognition is not made again, so the checksums do not list it.
    del made[MANIFEST]
    assert made == {name: before[name] for name in made}
    assert "T01.mkv" in made


@pytest.mark.long
def test_cuts_are_kept_if_asked_and_asking_makes_nothing_again(copy):
    def redo():
        for name in ("T01.mkv", "enhanced/0000050.mkv"):
            copy.path(f"results/T01/{name}").unlink()
        return dict(copy.make("all").jobs)

    cuts = copy.path("results/T01/scenes")
    copy.configure(disk={"keep_cuts": True, "cut_backlog": 1})
    assert not copy.make("all").jobs
    assert redo() == {"cut_scene": 1, "enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    assert [path.name for path in cuts.glob("*")] == ["0000050.mkv"]
    assert redo() == {"enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    copy.configure()
    assert not copy.make("all").jobs
    assert redo() == {"enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    assert not list(cuts.glob("*"))
