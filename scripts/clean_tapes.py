"""Rule clean_tapes: map Snakemake's job onto tapemill.verification.cleanup.clean."""

from typing import Any

from tapemill.jobs import entrypoint
from tapemill.verification.cleanup import clean


def main(job: Any) -> None:
    clean(tapes=job.params.tapes, container=job.params.container)


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
