"""What keeps Snakemake's main process right, quick with thousands of jobs, and its words to what concerns the operator.

For 9.27.1; the time is measured by `make bench-resume`.

tests/workflow/test_mainprocess.py fails if a new Snakemake makes one of these unnecessary, or impossible.
"""

from __future__ import annotations

import functools
import gc
import itertools
import logging
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

NEW_OBJECTS: Final = 50_000
"""Some ten megabytes: garbage in cycles may take up so much more memory than before."""


def look_for_garbage_seldom() -> None:
    """Let Python's collector run after every 50,000 new objects; its generations keep their proportions.

    A plan is some hundred thousand objects that stay. With Python's own threshold, 700, the collector walks through all
    there are again and again as they become more: a quarter of the time that planning a thousand scenes takes.
    """
    _, older, oldest = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, older, oldest)


def ask_once_what_functions_take() -> None:
    """Let Snakemake look at the parameters of a function of the rules once, not whenever it calls the function.

    It calls them some twenty times for each job of a plan; looking took a tenth of the time.
    """
    from snakemake import common, rules

    if not hasattr(common.get_function_params, "cache_info"):
        common.get_function_params = rules.get_function_params = functools.cache(common.get_function_params)


def keep_logging_faults_quiet() -> None:
    """Let a line that cannot be logged be lost (logging.raiseExceptions, as Python's manual has it for production).

    The terminal's writer reads the log of each job that failed, in a thread of its own. By then the log may be
    gone, for the next attempt or as the job was killed before it had one, and the writer's traceback would be shown.
    """
    logging.raiseExceptions = False


def see_beyond_ancient_input() -> None:
    """Let a plan look at jobs that need a file as `ancient` from a job that is to run, or runs, and has written it.

    Snakemake does not ask such jobs, nor those after them, for reasons of their own to run: it takes for granted that
    they run because the job before them does (`DAG.update_needrun`), but an `ancient` file that is there is no reason.
    If a checkpoint ends at that moment, all that is left to do of a tape is forgotten, and the run ends as if it were
    done.
    """
    from snakemake.dag import DAG

    everywhere = DAG.bfs
    if everywhere.__name__ == "reached":
        return

    def reached(dag: Any, direction: Any, *jobs: Any, **how: Any) -> Iterator[Any]:
        # Anything but the question which jobs need not be asked.
        if direction is not dag.depending or how or dag.omitrules or dag.omitfiles:
            yield from everywhere(dag, direction, *jobs, **how)
            return
        queue, seen = deque(jobs), set(jobs)
        while queue:
            job = queue.popleft()
            yield job
            for after, files in direction[job].items():
                if after not in seen and not all(file.is_ancient and Path(file).exists() for file in files):
                    seen.add(after)
                    queue.append(after)

    DAG.bfs = reached


def remove_temporary_files_at_once(dag: Any) -> None:
    """Let a temporary file go when its last reader is done, also while a checkpoint has yet to run.

    Snakemake keeps them all until no checkpoint is left, since one might bring readers that nobody knows of yet. Here
    none does: who reads a cut comes into the plan with it. While other tapes are looked into, or one of them failed at
    that, the disk would fill with cuts.
    """
    finish = dag.finish

    async def finish_and_remove(job: Any, *arguments: Any, **more: Any) -> Any:
        is_more_ready = await finish(job, *arguments, **more)
        put_off, dag._deferred_temp_jobs = dag._deferred_temp_jobs, []
        for each in put_off:
            await dag.handle_temp(each)
        return is_more_ready

    dag.finish = finish_and_remove


def see_behind_checkpoints_of_a_queue(dag: Any) -> None:
    """Let what enters a plan through a queue be planned like all else, behind checkpoints that are done already.

    Snakemake looks behind those when it makes its first plan, and behind others as they end. A tape whose scene table
    is there when it enters would stand in the plan without its scenes, and seem to have nothing to do.
    """
    move_on = dag.update_queue_input_jobs

    async def move_on_and_see() -> bool:
        before = set(dag.jobs)
        is_updated = bool(await move_on())
        # None of those that were there: what depends on them may be running.
        new = [job for job in dag.jobs if job.is_checkpoint and job not in before and not dag.needrun(job)]
        done = [job for job in new if all(Path(file).exists() for file in job.output)]
        if done:
            await dag.update_checkpoint_dependencies(done)
        return is_updated

    dag.update_queue_input_jobs = move_on_and_see


_gone: Final = itertools.count(1)


def forget_gone(dag: Any, scheduler: Any) -> None:
    """Let go of jobs that left the plan: Snakemake keeps every job of a run, 19 KiB each, in one book or another.

    How many have finished, and the numbers that were given, stay as they are: small numbers take the jobs' places.
    """
    there = dag._dependencies
    for job in [job for job in dag._finished if not isinstance(job, int) and job not in there]:
        dag._finished.remove(job)
        dag._finished.add(-next(_gone))
    for job in [job for job in dag._jobid if not isinstance(job, int) and job not in there]:
        dag._jobid[-next(_gone)] = dag._jobid.pop(job)
    for book in (dag._reason, dag._priority):
        for job in [job for job in book if job not in there]:
            del book[job]
    for book in (dag._seen_outputs, dag.job_factory.cache):
        for name in [name for name, job in book.items() if job not in there]:
            del book[name]
    groups = dag.group_job_factory.cache
    for key in [key for key in groups if not key[1] <= there.keys()]:
        del groups[key]
    for names in (dag._checked_jobs, dag._checked_needrun_jobs, scheduler._validated_jobs):
        names.difference_update([job for job in names if job not in there])


def reschedule_once_a_second(scheduler: Any) -> None:
    """Let Snakemake's `JobScheduler` look for ready jobs once a second, and whenever a job ends.

    Its limit of jobs a second, which cannot be switched off, has every look set a timer of one second for another look.
    So each end of a job adds one more look a second for good, and a thread: after some hundred jobs the main process
    needs a core of its own.
    """
    waiting = False

    def look() -> None:
        nonlocal waiting
        # Before the look, which asks for the next one.
        waiting = False
        scheduler._open_jobs.release()

    def look_later(delay_s: float) -> None:
        nonlocal waiting
        if not waiting:
            waiting = True
            timer = threading.Timer(delay_s, look)
            # The last one must not keep the run from ending.
            timer.daemon = True
            timer.start()

    # Its name is spelt so.
    if hasattr(scheduler, "_schedule_reevalutation") and hasattr(scheduler, "_open_jobs"):
        scheduler._schedule_reevalutation = look_later
