"""Dispatch of a job's work to its lane: in the lane's warm worker, or cold in this process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tapemill.core.errors import DeviceError, WorkerLost
from tapemill.core.progress import report
from tapemill.devices.device import CPU, Device
from tapemill.devices.memory import start_peak_watch, watched_peak_bytes
from tapemill.devices.memory_planner import mebibytes
from tapemill.jobs import attempt_store
from tapemill.lanes import client, gpu_registry, lease
from tapemill.lanes.gpu_registry import bind_device, renice
from tapemill.process import liveness
from tapemill.process.runtime_dirs import lease_folder

from .lane import Lane, lane_of
from .lease import acquire_any
from .protocol import LaneTask, WorkerConfig, name_of, run_task
from .settings import LanesSettings

LOG = logging.getLogger("tapemill.lanes")

# Rules state the time on a GPU. The largest speech models take this many times longer on a single core.
CPU_SLOWER = 20


def run_on_lane(job: Any, function: Callable[..., Any], /, **arguments: Any) -> Any:
    """Call `function(**arguments, device=...)` on the lane of a job, and return its result.

    `job` is Snakemake's object in a script. With a warm lane the function runs in the lane's worker, otherwise here; a
    job that requests no GPU gets the CPU. Raises what the function raises, WorkerLost, and LaneError if there is no
    such GPU.
    """
    settings = LanesSettings(**job.config["lanes"])
    resources = dict(job.resources.items())
    lane = lane_of(resources, settings, os.environ)
    if lane is None:
        return function(**arguments, device=CPU)
    run, supervisor = liveness.current_run(), liveness.supervisor()
    task = LaneTask(
        function=name_of(function),
        arguments=arguments,
        device=Device(
            lane.kind,
            settings.memory_share,
            degrade_level=attempt_store.oom_count(run.id if run else None, Path(job.log[0])),
        ),
        label=" ".join([job.rule, *map(str, job.wildcards)]),
        ffmpeg=job.config.get("ffmpeg"),
        limit_s=_limit_s(int(resources.get("expected_s", 0)), lane, settings),
    )
    with ExitStack() as held:
        if lane.number is None:
            lane = held.enter_context(acquire_any(lane, supervisor, gpu_registry.gpu_numbers(lane.kind)))
        report(f"goes to lane {lane.name}", waits_for=lane.name)
        if supervisor is None or not lane.warm:
            # Started by hand, there is no process that a worker could end with.
            return _run_in_process(task, lane, settings)
        config = WorkerConfig(
            lane,
            supervisor,
            settings.idle_s,
            settings.memory_share,
            settings.nice,
            start_limit_s=settings.limit_min_s,
        )
        return client.submit(task, config)


def _limit_s(expected_s: int, lane: Lane, settings: LanesSettings) -> float:
    slower = CPU_SLOWER if lane.kind == "cpu" else 1
    return max(settings.limit_min_s, settings.limit_factor * expected_s * slower)


def _run_in_process(task: LaneTask, lane: Lane, settings: LanesSettings) -> Any:
    """Run the task in this process, which has to be the only one on the GPU."""
    with ExitStack() as held:
        if lane.exclusive:
            job_lease = lease.leased(lease_folder(), lane.name, "a single job", lambda line: LOG.info("%s", line))
            held.enter_context(job_lease).update(task.label, task.limit_s)
        watchdog = threading.Timer(task.limit_s, _exit_late, [task])
        watchdog.daemon = True
        watchdog.start()
        held.callback(watchdog.cancel)
        renice(settings.nice)
        device = replace(bind_device(lane, settings.memory_share), degrade_level=task.device.degrade_level)
        with report_device_use(lane.name, device, where="in this process", is_warm=False):
            return run_task(replace(task, device=device))


def _exit_late(task: LaneTask) -> None:
    """End this process although the work does not return. Its ffmpeg dies with it."""
    LOG.error("%s did not end within %.0f s and is stopped", task.label, task.limit_s)
    logging.shutdown()
    os._exit(WorkerLost.exit_code)


@contextmanager
def report_device_use(lane: str, device: Device, *, where: str, is_warm: bool) -> Iterator[None]:
    """Report the device of the block, in the process that runs it, and at its end its peak memory, also if it fails.

    `where` names that process in the log.
    """
    gpu = {"device": device.name, "device_uuid": device.uuid}
    report(f"lane {lane}, {where}", lane=lane, is_warm=is_warm, **{key: value for key, value in gpu.items() if value})
    # A failed measurement must not fail the work; and a GPU that failed does not answer.
    with suppress(RuntimeError, DeviceError, OSError):
        start_peak_watch(device)
    try:
        yield
    finally:
        with suppress(RuntimeError, DeviceError, OSError):
            peak = watched_peak_bytes(device)
            report(f"at most {mebibytes(peak)} of memory", peak_memory_bytes=peak)
