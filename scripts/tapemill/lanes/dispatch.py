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
from tapemill.core.progress import tell
from tapemill.devices.device import CPU, Device
from tapemill.devices.memory import begin_watch, watched_bytes
from tapemill.devices.memory_planner import mebibytes
from tapemill.jobs import attempt_store
from tapemill.process import liveness
from tapemill.process.runtime_dirs import lease_folder

from . import card_registry, client, lease
from .card_registry import open_lane, step_back
from .lane import Lane, lane_of
from .lease import seated
from .protocol import Orders, Task, name_of, perform
from .settings import LanesSettings

LOG = logging.getLogger("tapemill.lanes")

# Rules expect the time of a card. The largest speech models take so many times longer on a single core.
CPU_SLOWER = 20


def call(job: Any, function: Callable[..., Any], /, **arguments: Any) -> Any:
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
    run, keeper = liveness.current_run(), liveness.keeper()
    task = Task(
        function=name_of(function),
        arguments=arguments,
        device=Device(
            lane.kind,
            settings.memory_share,
            steps_down=attempt_store.steps_down(run.id if run else None, Path(job.log[0])),
        ),
        label=" ".join([job.rule, *map(str, job.wildcards)]),
        ffmpeg=job.config.get("ffmpeg"),
        limit_s=_limit_s(int(resources.get("expected_s", 0)), lane, settings),
    )
    with ExitStack() as held:
        if lane.number is None:
            lane = held.enter_context(seated(lane, keeper, card_registry.numbers(lane.kind)))
        tell(f"goes to lane {lane.name}", waits_for=lane.name)
        if keeper is None or not lane.warm:
            # Started by hand there is nothing that a worker could live and die with.
            return _cold(task, lane, settings)
        orders = Orders(
            lane, keeper, settings.idle_s, settings.memory_share, settings.nice, start_limit_s=settings.limit_least_s
        )
        return client.perform(task, orders)


def _limit_s(expected_s: int, lane: Lane, settings: LanesSettings) -> float:
    slower = CPU_SLOWER if lane.kind == "cpu" else 1
    return max(settings.limit_least_s, settings.limit_factor * expected_s * slower)


def _cold(task: Task, lane: Lane, settings: LanesSettings) -> Any:
    """The whole work in this process, which has to be the only one on the card."""
    with ExitStack() as held:
        if lane.exclusive:
            tenant = lease.leased(lease_folder(), lane.name, "a single job", lambda line: LOG.info("%s", line))
            held.enter_context(tenant).tell(task.label, task.limit_s)
        watch = threading.Timer(task.limit_s, _give_up, [task])
        watch.daemon = True
        watch.start()
        held.callback(watch.cancel)
        step_back(settings.nice)
        device = replace(open_lane(lane, settings.memory_share), steps_down=task.device.steps_down)
        with told(lane.name, device, where="in this process", is_warm=False):
            return perform(replace(task, device=device))


def _give_up(task: Task) -> None:
    """End this process from outside the work, which does not return any more. Its ffmpeg dies with it."""
    LOG.error("%s did not end within %.0f s and is stopped", task.label, task.limit_s)
    logging.shutdown()
    os._exit(WorkerLost.exit_code)


@contextmanager
def told(lane: str, device: Device, *, where: str, is_warm: bool) -> Iterator[None]:
    """Tell on what the block works, in the process that does it; at its end its peak of memory, also if it fails.

    `where` is that process, as the log calls it.
    """
    card = {"device": device.name, "device_uuid": device.uuid}
    tell(f"lane {lane}, {where}", lane=lane, is_warm=is_warm, **{key: value for key, value in card.items() if value})
    # No work fails for what is only told of it; and a card that failed does not answer.
    with suppress(RuntimeError, DeviceError, OSError):
        begin_watch(device)
    try:
        yield
    finally:
        with suppress(RuntimeError, DeviceError, OSError):
            taken = watched_bytes(device)
            tell(f"at most {mebibytes(taken)} of memory", peak_memory_bytes=taken)
