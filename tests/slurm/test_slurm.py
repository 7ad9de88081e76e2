"""The same workflow through a real Slurm, in peace and disturbed: the tape is the workstation's, byte for byte."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.crash.reference_run import results
from tests.slurm import single_node
from tests.support.fakes import torch_driver
from tests.support.polling import wait_for
from tests.support.project import ROOT, digest


def test_the_tape_is_the_same_byte_for_byte(finished, in_peace):
    assert {name: digest(path) for name, path in results(finished.project).items()} == in_peace
    assert not (finished.folder / ".snakemake" / "slurm_runs").exists()


def test_both_cards_work_and_each_for_one_job_at_a_time(finished, slurm):
    ours = {job["id"]: job["comment"] for job in finished.jobs()}
    stays = [stay for stay in slurm.stays() if stay.job in ours]
    assert len(stays) == len(ours)
    on_card = {stay.job: stay for stay in stays if stay.card != "-"}
    rules = ("enhance_scene", "transcribe_scene", "detect_language")
    asking = {id for id, comment in ours.items() if any(rule in comment for rule in rules)}
    assert set(on_card) == asking
    assert {stay.card for stay in on_card.values()} == {"0", "1"}
    for one in on_card.values():
        for other in on_card.values():
            if one is not other and one.card == other.card:
                assert one.ended_s <= other.began_s or other.ended_s <= one.began_s


def test_jobs_ask_for_memory_and_time_of_their_own(finished):
    (joined,) = finished.jobs("join_subtitles")
    assert (joined["mb"], joined["limit"]) == ("2000M", "30:00")
    batches = finished.jobs("enhance_scene")
    # torch, for one.
    assert all(int(job["mb"].removesuffix("M")) > 5000 for job in batches)
    # Of scenes of two seconds: two minutes for the cuts of a batch, which are made side by side, and two for each clip.
    scenes = len(list(finished.folder.glob("results/T/enhanced/*.mkv")))
    minutes = [int(job["limit"].removesuffix(":00")) for job in batches]
    assert min(minutes) >= 4
    assert sum(minutes) == 2 * len(batches) + 2 * scenes


@pytest.mark.parametrize("kind", ["xpu", "cuda"])
def test_a_job_computes_on_the_card_that_slurm_gave_it(slurm, tmp_path, kind):
    cards = [{"xpu": torch_driver.arc, "cuda": torch_driver.geforce}[kind](place) for place in (0, 1)]
    torch = torch_driver.install(tmp_path / "torch", kind, cards)
    (tmp_path / "run").mkdir(mode=0o700)
    paths = [torch, ROOT / "scripts", ROOT]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    diary, submitted = tmp_path / "diary", time.time()
    command = ["srun", "--gpus=1", "--mem=100", sys.executable, str(Path(__file__).with_name("gpu_job.py"))]
    jobs = [
        subprocess.Popen([*command, str(diary), "3"], env=environ, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = [job.communicate(timeout=120)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0], said
    at_work, given = [], []
    for entry in map(json.loads, diary.read_text().splitlines()):
        assert entry["kind"] == kind
        if entry["what"] == "began":
            assert entry["uuid"] not in at_work
            at_work.append(entry["uuid"])
            given.append(entry["uuid"])
        else:
            at_work.remove(entry["uuid"])
    assert set(given[:2]) == {torch_driver.uuid_of(0), torch_driver.uuid_of(1)}
    # It is written down only after a job has ended.
    wait_for(lambda: len(stays_since(slurm, submitted)) == len(jobs), 30)
    stays = stays_since(slurm, submitted)
    assert sorted(torch_driver.uuid_of(int(stay.card)) for stay in stays) == sorted(given)


def test_a_cancelled_job_and_a_lost_daemon_do_no_harm(half_done, slurm):
    half_done.start()
    (struck, *_) = half_done.at_work("enhance_scene")
    slurm.ask("scancel", struck["id"])
    wait_for(lambda: {"id": struck["id"], "state": "CANCELLED"}.items() <= job_of(slurm, struck).items(), 60)
    assert is_sound(half_done)
    half_done.at_work("enhance_scene")
    slurm.kill("slurmd")
    time.sleep(1)
    assert is_sound(half_done)
    slurm.start("slurmd")
    assert half_done.end() == 0, half_done.said()


def test_a_node_that_dies_with_all_its_jobs_does_no_harm(half_done, slurm):
    half_done.start()
    half_done.at_work("enhance_scene")
    slurm.die()
    assert is_sound(half_done)
    slurm.start("slurmd")
    assert half_done.end() == 0, half_done.said()


@pytest.mark.parametrize("partition", ["tapes", "spot"])
def test_a_job_that_makes_room_for_another_is_done_again(half_done, slurm, partition):
    half_done.start("--default-resources", f"slurm_partition='{partition}'", "mem_mb=500", "runtime=30")
    struck = {job["id"] for job in half_done.at_work("enhance_scene")}
    # It wants all of the node.
    command = ["sbatch", "--parsable", "--partition=urgent", f"--cpus-per-task={single_node.CPUS}", "--mem=100"]
    urgent = slurm.ask(*command, "--output=/dev/null", "--wrap=sleep 3").strip()
    wait_for(lambda: job_of(slurm, {"id": urgent})["state"] == "COMPLETED", 120)
    assert is_sound(half_done)
    assert half_done.end() == 0, half_done.said()
    if partition == "tapes":
        assert all("Restarts=1" in slurm.ask("scontrol", "show", "job", job) for job in struck)
        assert "was preempted" not in half_done.said()
    else:
        assert {job_of(slurm, {"id": job})["state"] for job in struck} == {"PREEMPTED"}
        assert all(f"'{job}' was preempted" in half_done.said() for job in struck)


def test_ctrl_c_cancels_the_jobs_and_leaves_nothing_half_made(half_done, slurm):
    half_done.start()
    half_done.at_work("enhance_scene")
    half_done.interrupt()
    assert half_done.end() != 0
    wait_for(lambda: not half_done.jobs(states="PENDING,RUNNING,COMPLETING"), 60, half_done.said())
    assert is_sound(half_done)
    assert not half_done.project.half_made()
    half_done.start()
    assert half_done.end() == 0, half_done.said()


def test_the_jobs_of_a_killed_run_are_cancelled_before_the_next_one_works(half_done, slurm):
    half_done.start()
    half_done.at_work("enhance_scene")
    half_done.kill()
    assert is_sound(half_done)
    before = {job["id"] for job in half_done.jobs()}
    half_done.start()
    assert half_done.end() == 0, half_done.said()
    after = {job["id"] for job in half_done.jobs()} - before
    stays = slurm.stays()
    first_s = min(stay.began_s for stay in stays if stay.job in after)
    assert max(stay.ended_s for stay in stays if stay.job in before) < first_s


def stays_since(slurm, time_s):
    """Jobs that have come to the node since, and have left it."""
    return [stay for stay in slurm.stays() if stay.began_s > time_s]


def job_of(slurm, job):
    """What Slurm says of a job now."""
    return next(found for found in slurm.jobs() if found["id"] == job["id"])


def is_sound(project):
    """Whether everything under a final name can be played to its end, or read."""
    for path in results(project.project).values():
        if path.suffix == ".mkv":
            import av

            with av.open(str(path)) as container:
                assert sum(1 for _ in container.decode(video=0)) > 0, path
        elif path.suffix == ".json":
            json.loads(path.read_text())
    return True
