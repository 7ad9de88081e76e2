"""The whole plan of tapes whose files are small or not there at all, without Snakemake."""

import io
import json
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import TapeRow
from tapemill.core.errors import FatalError
from tapemill.core.timing import FrameRange
from tapemill.enhance import SceneSettings
from tapemill.planning.estimate import estimate
from tapemill.planning.plan import check_budget
from tapemill.planning.snakemake_jobs import PlannedJob
from tapemill.planning.text_view import format_duration, print_plan
from tapemill.scenes.table import make_scenes, write_scenes
from tapemill.storage.atomic import write_json
from tapemill.workflow.run_options import RunOptions
from tapemill.workflow.tape import TapeState
from tests.support.capture_info import capture_of
from tests.support.media.frame_codes import make_capture
from tests.support.project import DEMO_MODEL, ROOT
from tests.support.records import clip_record, write_record

FRAMES = 250
TAPE_RULES = {
    "probe_capture": "capture",
    "detect_scenes": "scenes",
    "clean_sound": "audio",
    "join_subtitles": "subtitles",
    "mux_tape": "tape",
}
SCENE_RULES = {
    "cut_scene": "scenes",
    "extract_audio": "audio",
    "transcribe_scene": "subtitles",
    "enhance_scene": "enhance",
}
CORES = RunOptions("Snakefile", ["MTIME"], cores=2, lanes={})
LANES = RunOptions("Snakefile", ["MTIME"], cores=8, lanes={"gpu0": 2, "gpu1": 2}, device="xpu")
NOW = datetime(2026, 11, 21, 20, 0).astimezone()


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Ten seconds of 576i."""
    return make_capture(tmp_path_factory.mktemp("capture") / "a.mkv", frames=FRAMES, interlaced="tff").path


@pytest.fixture
def lookup(short, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    for name in ("models.yaml", "models.lock"):
        (tmp_path / "config" / name).write_bytes((ROOT / "config" / name).read_bytes())
    return TapeState(TapeRow("T", short, "Summer", "", "en", "tff", "4:3"))


def probed(lookup):
    write_json(lookup.paths.capture_record, capture_of(lookup.row.source, interlaced="tff").to_plain())


def divided(lookup, length=50):
    rate = lookup.capture.picture.rate
    made = make_scenes((FrameRange(start, start + length) for start in range(0, FRAMES, length)), rate)
    write_scenes(made, lookup.paths.scene_table)
    return [scene.id for scene in made]


def jobs(*done, scenes=()):
    """As Snakemake plans the tape; rules in `done` have nothing to do."""
    found = [PlannedJob(rule, stage, "T", "", rule not in done) for rule, stage in TAPE_RULES.items()]
    for id in scenes:
        found += [PlannedJob(rule, stage, "T", id, rule not in done) for rule, stage in SCENE_RULES.items()]
    return found


def plan(lookup, planned, run=CORES, **sections):
    config = load_config({"subtitles": {"model": DEMO_MODEL}, **sections})
    settings = SceneSettings.planned(config["enhance"], ["T"])
    return estimate(planned, {"T": lookup}, settings, config, run)


def shown(found):
    stream = io.StringIO()
    print_plan(found, NOW, stream)
    return stream.getvalue()


def stage(found, name):
    return next(stage for stage in found.tapes[0].stages if stage.stage == name)


def test_before_anything_ran_the_head_of_the_capture_is_what_is_known(lookup):
    found = plan(lookup, jobs())
    assert found.tapes[0].video_s == pytest.approx(10.0, rel=0.05)
    assert not found.tapes[0].is_length_known
    assert not found.tapes[0].are_scenes_known
    assert stage(found, "enhance").to_come == 1
    # Ten seconds are 500 pictures, 0.05 s each, by the preset `fast`.
    assert stage(found, "enhance").core_s == pytest.approx(25, rel=0.1)
    text = shown(found)
    for words in ("T, Summer", "about 10 s, about 1 scene", "built-in", "~1", "built-in figures", "on 2 cores"):
        assert words in text


def test_a_capture_that_cannot_be_opened_counts_by_its_size(lookup, tmp_path):
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(bytes(36_000_000))
    other = TapeState(TapeRow("T", broken, "T", "", "en", "tff", "4:3"))
    assert plan(other, jobs()).tapes[0].video_s == pytest.approx(10.0)


def test_known_scenes_are_counted_one_by_one(lookup):
    probed(lookup)
    ids = divided(lookup)
    found = plan(lookup, jobs("probe_capture", "detect_scenes", "cut_scene", scenes=ids))
    assert found.tapes[0].scenes == len(ids)
    assert found.jobs == {
        "clean_sound": 1, "join_subtitles": 1, "mux_tape": 1,
        "extract_audio": 5, "transcribe_scene": 5, "enhance_scene": 5,
    }  # fmt: skip
    assert stage(found, "scenes").done == 6
    # Snakemake drops a checkpoint that is done from its graph.
    dropped = [job for job in jobs("probe_capture", "cut_scene", scenes=ids) if job.rule != "detect_scenes"]
    assert stage(plan(lookup, dropped), "scenes").done == 6
    assert stage(found, "capture").to_do == 0
    assert found.total_s > stage(found, "enhance").core_s / 2
    assert "~" not in shown(found)


def test_when_all_is_done_there_is_nothing_to_do(lookup):
    probed(lookup)
    ids = divided(lookup)
    found = plan(lookup, jobs(*TAPE_RULES, *SCENE_RULES, scenes=ids))
    assert found.is_empty
    assert found.total_s == 0
    assert found.grows_bytes == 0
    text = shown(found)
    assert "Nothing to do" in text
    assert "Time" not in text


def test_what_belongs_to_no_tape_is_shown_while_it_is_to_do(lookup):
    for to_do in (True, False):
        text = shown(plan(lookup, [*jobs(), PlannedJob("make_demo_capture", "demo", "", "", to_do)]))
        assert ("Without a tape" in text) == to_do
        assert "Tapes finished after" not in text


def test_this_machines_own_times_replace_what_is_stated(lookup):
    probed(lookup)
    ids = divided(lookup)
    for id, seconds in zip(ids, (50.0, 51.0, 49.0, 50.0, 50.0), strict=True):
        file = Path(f"benchmarks/enhance_scene/T/{id}.tsv")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\n{seconds}\t0:00:50\n")
        write_record(Path(f"results/T/enhanced/{id}.json"), clip_record())
    found = plan(lookup, jobs("probe_capture", "detect_scenes", scenes=ids))
    assert stage(found, "enhance").core_s == pytest.approx(250, rel=0.01)
    assert stage(found, "enhance").measured_share == 1
    assert stage(found, "tape").measured_share == 0
    assert found.measured_jobs == 5
    assert 0.8 < found.measured_share < 1
    assert "5 jobs of this machine" in shown(found)
    # They were made without networks, and say nothing of what networks take.
    good = plan(lookup, jobs("probe_capture", "detect_scenes", scenes=ids), enhance={"preset": "good"})
    assert stage(good, "enhance").measured_share == 0


def test_lanes_get_what_asks_for_a_card(lookup):
    probed(lookup)
    ids = divided(lookup)
    found = plan(lookup, jobs("probe_capture", "detect_scenes", scenes=ids), LANES, enhance={"preset": "good"})
    assert stage(found, "enhance").core_s == 0
    assert found.busy_s["gpu0"] > 0
    assert found.busy_s["gpu1"] > 0
    text = shown(found)
    assert "on lanes" in text
    assert "on 2 lanes and 8 cores" in text
    assert "gpu1 " in text
    # Filters need no card.
    assert stage(plan(lookup, jobs(scenes=ids), LANES), "enhance").card_s == 0


def test_disk_and_energy(lookup):
    probed(lookup)
    ids = divided(lookup)
    Path("results/T/kept").write_bytes(bytes(5_000_000))
    found = plan(lookup, jobs("probe_capture", scenes=ids), plan={"watts_machine": 100, "price_kwh": 0.3})
    (space,) = found.spaces
    assert 5_000_000 < space.used_bytes < space.after_bytes < space.peak_bytes
    assert found.energy.kwh == pytest.approx(100 * found.total_s / 3_600_000)
    assert found.energy.price == pytest.approx(0.3 * found.energy.kwh)
    cards = plan(lookup, jobs(scenes=ids), LANES, enhance={"preset": "good"}, plan={"watts_lane": 225})
    lanes_s = cards.busy_s["gpu0"] + cards.busy_s["gpu1"]
    assert cards.energy.kwh == pytest.approx(225 * lanes_s / 3_600_000)
    text = shown(found)
    for words in ("Energy: ", "price ", "Disk of results: ", "at the peak", "after", "free"):
        assert words in text
    assert "Energy" not in shown(plan(lookup, jobs(scenes=ids)))


def test_a_plan_is_json_too(lookup):
    found = plan(lookup, jobs())
    plain = json.loads(json.dumps(found.to_plain(NOW)))
    assert datetime.fromisoformat(plain["finish"]) == found.finish(NOW)
    assert plain["jobs"] == dict.fromkeys(TAPE_RULES, 1)
    assert plain["tapes"][0]["stages"][0]["stage"] == "capture"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.4, "4 s"), (59.6, "1 min 0 s"), (400, "6 min 40 s"), (7260, "2 h 01 min"), (200_000, "2 days 8 h")],
)
def test_durations_as_people_say_them(seconds, words):
    assert format_duration(seconds) == words


class Dag:
    """What the budget asks of Snakemake's graph."""

    def __init__(self, planned):
        self.jobs = [self.job(each) for each in planned]
        self.needed = [job for job, each in zip(self.jobs, planned, strict=True) if each.is_to_do]

    @staticmethod
    def job(each):
        file = f"rules/{each.stage}.smk"
        wildcards = {name: value for name, value in (("tape", each.tape), ("scene", each.scene)) if value}
        return SimpleNamespace(rule=SimpleNamespace(name=each.rule, snakefile=file, norun=False), wildcards=wildcards)

    def needrun(self, job):
        return job in self.needed


def workflow(planned=(), **more):
    resources = {"_cores": 2, "_nodes": sys.maxsize, "gpu0": 0, "gpu": 1} | more
    trigger = SimpleNamespace(name="MTIME")
    scheduler = SimpleNamespace(global_resources=resources, _scheduler=SimpleNamespace(settings=None))
    return SimpleNamespace(dag=Dag(planned), scheduler=scheduler, main_snakefile="Snakefile", rerun_triggers=[trigger])


def test_how_a_run_was_started():
    assert RunOptions.of_workflow(workflow()) == RunOptions("Snakefile", ["MTIME"], cores=2, lanes={}, device="cpu")
    assert RunOptions.of_workflow(workflow(gpu10=2, gpu1=1)).lanes == {"gpu1": 1, "gpu10": 2}
    assert RunOptions.of_workflow(workflow(_cores=sys.maxsize, _nodes=5)).cores == 5
    assert LANES.has_gpus
    assert not RunOptions("Snakefile", [], cores=2, lanes={"gpu0": 2}, device="cpu").has_gpus


def check(lookup, planned, **limits):
    config = load_config({"subtitles": {"model": DEMO_MODEL}, "budget": limits})
    settings = SceneSettings.planned(config["enhance"], ["T"])
    check_budget(workflow(planned), {"T": lookup}, settings, config)


def test_a_run_beyond_its_budget_is_refused(lookup):
    probed(lookup)
    with pytest.raises(FatalError) as caught:
        check(lookup, jobs(), hours=0.005)
    for words in ("exceeds the budget", "it may 0.005 h (budget: hours)", "built-in figures", "snakemake show_plan"):
        assert words in str(caught.value)
    with pytest.raises(FatalError) as caught:
        check(lookup, jobs(), gb=0.001, hours=100)
    assert "of disk, and it may 0.001 GB (budget: gb)" in str(caught.value)
    assert "hours)" not in str(caught.value)


def test_a_run_within_its_budget_and_one_with_nothing_to_do_begin(lookup):
    probed(lookup)
    check(lookup, jobs(), hours=10, gb=10)
    check(lookup, jobs(*TAPE_RULES), hours=0, gb=0)
    check(lookup, [PlannedJob("models", "models", "", "", True)], hours=0, gb=0)


def test_without_a_budget_nothing_is_planned(lookup):
    # There is not even a graph to plan with.
    check_budget(None, {"T": lookup}, None, load_config({}))
