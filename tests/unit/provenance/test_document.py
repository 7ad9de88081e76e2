"""Sources of a provenance: the checkout, the events of all runs, records, programs."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tapemill.capture import checksum
from tapemill.events import log as events
from tapemill.media.ffmpeg import version
from tapemill.provenance import document as document_module
from tapemill.provenance import run_history
from tapemill.provenance.code_version import code_version
from tapemill.records import job_records, tape_tags
from tapemill.storage import fingerprint

SAID = """ffmpeg version 9.0.2-other Copyright (c) 2000-2026 the FFmpeg developers
built with gcc 16
configuration: --enable-gpl --extra-libs='-lgomp -ldl'
libavutil      61.  1.102 / 61.  1.102
libavcodec     63. 12.102 / 63. 12.102
"""


@pytest.fixture
def repository(tmp_path):
    """A checkout with the folders that tapes depend on, all committed."""
    root = tmp_path / "checkout"
    for name in ("Snakefile", "rules/a.smk", "scripts/b.py", "config/config.yaml", "docs/c.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "All of it")
    return root


def git(root, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_checkout_is_its_commit(repository):
    state = code_version(repository)
    assert state.commit == git(repository, "rev-parse", "HEAD")
    assert state.changed == ()
    assert state.version == version.tapemill_version()


def test_changed_and_new_code_is_named_and_has_another_hash(repository):
    before = code_version(repository).code_sha256
    (repository / "config/config.yaml").write_text("my settings")
    (repository / "docs/c.md").write_text("better")
    state = code_version(repository)
    assert (state.changed, state.code_sha256) == ((), before)
    (repository / "scripts/b.py").write_text("changed")
    (repository / "scripts/new module.py").write_text("new")
    state = code_version(repository)
    assert state.changed == ("scripts/b.py", "scripts/new module.py")
    assert state.code_sha256 != before


def test_without_git_the_code_is_known_all_the_same(repository, tmp_path, monkeypatch):
    known = code_version(repository)
    git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing here"))
    state = code_version(repository)
    assert (state.commit, state.changed, state.code_sha256) == (None, None, known.code_sha256)


def test_a_copy_inside_another_repository_has_no_commit(repository):
    inner = repository / "docs" / "tapemill"
    (inner / "scripts").mkdir(parents=True)
    (inner / "scripts" / "b.py").write_text("scripts/b.py")
    state = code_version(inner)
    assert (state.commit, state.changed) == (None, None)


def test_looking_changes_nothing_in_the_repository(repository):
    (repository / "Snakefile").touch()
    before = (repository / ".git/index").read_bytes()
    code_version(repository)
    assert (repository / ".git/index").read_bytes() == before


def job(rule, scene="", attempt=1):
    name = f"T01/{scene}" if scene else "T01"
    return {"rule": rule, "tape": "T01", "scene": scene, "log": f"logs/{rule}/{name}.log", "attempt": attempt}


def run_with(monkeypatch, stamp, *entries):
    """Events of one run: (kind, job, facts)."""
    monkeypatch.setenv(events.RUN_VARIABLE, f"{stamp}-annas-laptop-1-1")
    for kind, of, facts in entries:
        events.emit(kind, **of, **facts)


def done(of, **facts):
    return [("job_started", of, {"pid": 1, "host": "annas-laptop"}), ("job_done", of, {"seconds": 1.5, **facts})]


def test_each_job_is_told_by_the_latest_run_that_did_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip, cut = job("enhance_scene", "0000000"), job("cut_scene", "0000000")
    lane = {"lane": "gpu1", "device": "Arc A770", "device_uuid": "uuid-1", "frames": 50}
    run_with(monkeypatch, "20260101T100000Z", *done(cut), *done(clip, lane="gpu0"), *done(job("mux_tape")))
    run_with(
        monkeypatch,
        "20260102T100000Z",
        ("job_started", clip, {}),
        ("job_failed", clip, {"seconds": 1, "kind": "memory", "reason": "no room", "is_final": False}),
        *done(job("enhance_scene", "0000000", 2), **lane, notices=[{"kind": "lowered", "reason": "x", "scene": ""}]),
    )
    run_with(monkeypatch, "20260103T100000Z", ("job_started", clip, {}), *done(job("enhance_scene", "0000999")))
    jobs = run_history.job_runs("T01", ["0000000"])
    assert [rule for rule, scene in jobs if not scene] == ["mux_tape"]
    (scene,) = run_history.by_scene(jobs, ["0000000"])
    assert scene.jobs.keys() == {"cut_scene", "enhance_scene"}
    assert scene.jobs["cut_scene"].run_started == "2026-01-01T10:00:00.000+00:00"
    made = scene.jobs["enhance_scene"]
    assert (made.run_started, made.attempts) == ("2026-01-02T10:00:00.000+00:00", 2)
    ended = [event.time for event in events.read_events("20260102T100000Z-annas-laptop-1-1")][-1]
    assert made.span_s[1] == (ended - datetime(2026, 1, 2, 10, tzinfo=UTC)).total_seconds()
    assert datetime.fromisoformat(run_history.span([made])[1]) == ended
    assert {key: getattr(made, key) for key in lane} == lane
    assert made.notices[0]["kind"] == "lowered"
    assert "annas-laptop" not in repr(jobs)


def test_events_of_another_kind_cost_their_facts_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_with(monkeypatch, "20260101T100000Z", *done(job("mux_tape"), frames="many"))
    made = run_history.job_runs("T01", [])["mux_tape", ""]
    assert (made.attempts, made.frames, made.seconds) == (1, None, None)


def test_another_tapes_jobs_are_not_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = {**job("mux_tape"), "tape": "T02", "log": "logs/mux_tape/T02.log"}
    run_with(monkeypatch, "20260101T100000Z", *done(other))
    assert run_history.job_runs("T01", []) == {}
    assert run_history.span([]) is None


def test_ffmpeg_is_known_by_all_that_it_says():
    build = version.parse_build(SAID)
    assert (build.version, build.configuration) == ("9.0.2-other", "--enable-gpl --extra-libs='-lgomp -ldl'")
    assert build.libraries == {"libavutil": "61.1.102", "libavcodec": "63.12.102"}
    assert version.parse_build(SAID.replace("--enable-gpl ", "")).id != build.id
    assert version.parse_build("Segmentation fault") is None


def test_programs_survive_a_tag():
    used = {"scenes": {"ffmpeg": ["9.0 (abc)", "9.1 (def)"]}, "tape": {"av": ["18.1.0"]}}
    assert tape_tags.format_programs(used) == "cuts: ffmpeg 9.0 (abc), ffmpeg 9.1 (def); tape: av 18.1.0"
    assert tape_tags.parse_programs(tape_tags.format_programs(used)) == used
    assert tape_tags.parse_programs("") == {}


def test_tags_are_read_from_either_container():
    said = {"capture": "12-ab", "settings": "audio=1 tape=2"}
    assert tape_tags.tags_of({"TITLE": "x", "TAPEMILL_CAPTURE": "12-ab", "TAPEMILL_SETTINGS": "audio=1 tape=2"}) == said
    assert tape_tags.tags_of({"comment": "TAPEMILL_CAPTURE=12-ab\nTAPEMILL_SETTINGS=audio=1 tape=2"}) == said
    assert tape_tags.tags_of({"comment": "A fine tape"}) == {}


def test_a_digest_of_settings_knows_no_places():
    config = {section: {} for section in tape_tags.SECTIONS}
    one = config | {"subtitles": {"model": "/home/anna/models/mine.pt", "beam_size": 5}}
    other = config | {"subtitles": {"model": "resources/models/mine.pt", "beam_size": 5}}
    assert tape_tags.digests_of_settings(one) == tape_tags.digests_of_settings(other)
    other["subtitles"]["beam_size"] = 1
    assert tape_tags.digests_of_settings(one) != tape_tags.digests_of_settings(other)


def test_a_damaged_record_is_none(tmp_path):
    path = tmp_path / "enhanced" / "0000000.json"
    path.parent.mkdir()
    path.write_text("{")
    assert job_records.clip_record(tmp_path, "0000000") is None
    assert job_records.clip_record(tmp_path, "0000001") is None
    assert job_records.programs_used(tmp_path, ["0000000"]) == {}


def test_files_of_a_folder_are_hashed_in_order_and_known_ones_not_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = [tmp_path / name for name in ("2.mkv", "1.mkv")]
    for source in sources:
        source.write_bytes(source.name.encode() * 1000)
    target = tmp_path / "results" / "capture_sha256.json"
    checksum.hash_capture(tape="T", sources=sources, target=target)
    first = json.loads(target.read_text())["files"]
    assert [file["name"] for file in first] == ["2.mkv", "1.mkv"]
    assert [file["sha256"] for file in first] == [fingerprint.sha256(source) for source in sources]
    read = []
    monkeypatch.setattr("tapemill.storage.fingerprint.sha256", lambda path: read.append(path) or "f" * 64)
    sources[1].write_bytes(b"another")
    checksum.hash_capture(tape="T", sources=sources, target=target)
    assert read == [sources[1]]
    assert json.loads(target.read_text())["files"][0] == first[0]


@pytest.mark.parametrize("home", ["/home/anna", "/"])
def test_folders_of_a_person_are_taken_out_of_messages(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    said = {"kept_original": [f"{tmp_path}/results/a.mkv", "/home/anna/tapes/a.mkv", "https://ffmpeg.org/"]}
    tapes = "~/tapes/a.mkv" if home == "/home/anna" else "/home/anna/tapes/a.mkv"
    assert document_module._anonymous(said) == {"kept_original": ["results/a.mkv", tapes, "https://ffmpeg.org/"]}


@pytest.mark.parametrize(
    ("path", "portable"),
    [
        ("captures/a.mkv", "captures/a.mkv"),
        ("{here}/captures/a.mkv", "captures/a.mkv"),
        ("/home/anna/tapes/a.mkv", "a.mkv"),
        ("../anna/a.mkv", "a.mkv"),
    ],
)
def test_of_files_outside_the_working_folder_the_name_stays(tmp_path, monkeypatch, path, portable):
    monkeypatch.chdir(tmp_path)
    assert document_module._portable(Path(path.format(here=tmp_path))) == portable
