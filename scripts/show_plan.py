"""Rule show_plan: map Snakemake's job onto tapemill.planning.show_plan."""

from typing import Any

from tapemill.jobs import entrypoint
from tapemill.planning import show_plan


def main(job: Any) -> None:
    show_plan(config=job.config)


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
