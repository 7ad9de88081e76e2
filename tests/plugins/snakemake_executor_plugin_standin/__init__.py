"""Executor `standin`: a cluster that is not there. A submission is a process of this machine, started as on a node.

What it was asked for is written to the file `submissions`, one JSON object a line. Jobs take this machine for another
one than that of the main process, as they would on a node, unless SUBMIT_HERE is set.
"""

import json
import os
import subprocess
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

from tapemill.process import liveness

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=1,
)


class Executor(RemoteExecutor):
    def run_job(self, job):
        environment = dict(os.environ)
        if not os.environ.get("SUBMIT_HERE"):
            environment[liveness.RUN_VARIABLE] = f"another-boot {liveness.own_run().id}"
        process = subprocess.Popen(
            self.format_job_exec(job), shell=True, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        jobs = [f"{each.rule.name} {each.wildcards.get('scene', '')}" for each in (job if job.is_group() else [job])]
        asked = {name: job.resources.get(name) for name in ("gpu", "_cores", "runtime", "mem_mb")}
        name = job.groupid if job.is_group() else job.name
        line = {"name": name, "jobs": jobs, "attempt": job.attempt, "pid": process.pid, "asked": asked}
        with Path("submissions").open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=str(process.pid), aux={"process": process}))

    async def check_active_jobs(self, active_jobs):
        for info in active_jobs:
            code = info.aux["process"].poll()
            if code is None:
                yield info
            elif code == 0:
                self.report_job_success(info)
            else:
                self.report_job_error(info)

    def cancel_jobs(self, active_jobs):
        for info in active_jobs:
            info.aux["process"].terminate()
