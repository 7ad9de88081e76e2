"""A job of Slurm that computes on a card, without the rest of the workflow: `oncard.py DIARY SECONDS`."""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from tapemill.config.schema import load_config
from tapemill.lanes.dispatch import run_on_lane


def compute(diary, seconds, *, device):
    """Say which card it is, at the beginning and at the end."""
    for what in ("began", "ended"):
        with Path(diary).open("a") as stream:
            stream.write(json.dumps({"what": what, "kind": device.kind, "uuid": device.uuid}) + "\n")
        if what == "began":
            time.sleep(seconds)


if __name__ == "__main__":
    from tests.slurm import gpu_job

    job = SimpleNamespace(
        rule="compute", wildcards=[], log=["compute.log"], resources={"gpu": 1}, config=load_config({})
    )
    run_on_lane(job, gpu_job.compute, diary=sys.argv[1], seconds=float(sys.argv[2]))
