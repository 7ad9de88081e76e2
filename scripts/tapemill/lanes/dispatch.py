"""From a job script to its card: find the lane, and have the work done there, warm or cold."""

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

# Rules expect the time of a card. The largest speech models take so many times longer on a single core.
CPU_SLOWER = 20


def run_on_lane(job: Any, function: Callable[..., Any], /, **arguments: Any) -> Any:
    """Call `function(**arguments, device=...)` for a job on the card that it was given, and return its result.

    `job` is Snakemake's object in a script. With a warm lane the function runs in the lane's worker, otherwise here; a
    job that asks for no card gets the CPU. Raises what the function raises, WorkerLost, and LaneError if there is no
    such card.
    """
    settings = LanesSettings(**job.config["lanes"])
    resources = dict(job.resources.items())
    lane = lane_of(resources, settings, os.environ)
    if lane is None:
        return function(**arguments, device=CPU)
    run, keeper = liveness.current_run(), liveness.supervisor()
    task = LaneTask(
        function=name_of(function),
        arguments=arguments,
        device=Device(
            lane.kind,
            settings.memory_share,
            degrade_level=attempt_store.steps_down(run.id if run else None, Path(job.log[0])),
        ),
        label=" ".join([job.rule, *map(str, job.wildcards)]),
        ffmpeg=job.config.get("ffmpeg"),
        limit_s=_limit_s(int(resources.get("expected_s", 0)), lane, settings),
    )
    with ExitStack() as held:
        if lane.number is None:
            lane = held.enter_context(acquire_any(lane, keeper, gpu_registry.gpu_numbers(lane.kind)))
        report(f"goes to lane {lane.name}", waits_for=lane.name)
        if keeper is None or not lane.warm:
            # Started by hand there is nothing that a worker could live and die with.
            return _cold(task, lane, settings)
        orders = WorkerConfig(
            lane, keeper, settings.idle_s, settings.memory_share, settings.nice, start_limit_s=settings.limit_least_s
        )
        return client.submit(task, orders)


def _limit_s(expected_s: int, lane: Lane, settings: LanesSettings) -> float:
    slower = CPU_SLOWER if lane.kind == "cpu" else 1
    return max(settings.limit_least_s, settings.limit_factor * expected_s * slower)


def _cold(task: LaneTask, lane: Lane, settings: LanesSettings) -> Any:
    """The whole work in this process, which has to be the only one on the card."""
    with ExitStack() as held:
        if lane.exclusive:
            tenant = lease.leased(lease_folder(), lane.name, "a single job", lambda line: LOG.info("%s", line))
            held.enter_context(tenant).tell(task.label, task.limit_s)
        watch = threading.Timer(task.limit_s, _give_up, [task])
        watch.daemon = True
        watch.start()
        held.callback(watch.cancel)
        renice(settings.nice)
        device = replace(bind_device(lane, settings.memory_share), degrade_level=task.device.degrade_level)
        with report_device_use(lane.name, device, where="in this process", is_warm=False):
            return run_task(replace(task, device=device))


def _give_up(task: LaneTask) -> None:
    """End this process from outside the work, which does not return any more. Its ffmpeg dies with it."""
    LOG.error("%s did not end within %.0f s and is stopped", task.label, task.limit_s)
    logging.shutdown()
    os._exit(WorkerLost.exit_code)


@contextmanager
def report_device_use(lane: str, device: Device, *, where: str, is_warm: bool) -> Iterator[None]:
    """Tell on what the block works, in the process that does it; at its end its peak of memory, also if it fails.

    `where` is that process, as the log calls it.
    """
    card = {"device": device.name, "device_uuid": device.uuid}
    report(f"lane {lane}, {where}", lane=lane, is_warm=is_warm, **{key: value for key, value in card.items() if value})
    # No work fails for what is only told of it; and a card that failed does not answer.
    with suppress(RuntimeError, DeviceError, OSError):
        start_peak_watch(device)
    try:
        yield
    finally:
        with suppress(RuntimeError, DeviceError, OSError):
            taken = watched_peak_bytes(device)
            report(f"at most {mebibytes(taken)} of memory", peak_memory_bytes=taken)
