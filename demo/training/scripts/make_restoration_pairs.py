"""Rule make_restoration_pairs: map Snakemake's job onto demo.training.degraded_pairs.make_pairs."""

from pathlib import Path
from typing import Any

from demo.training.degraded_pairs import SETTINGS, Size, make_pairs
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    make_pairs(
        target=Path(job.output.pairs),
        seed=job.params.seed,
        size=Size(clips=job.params.clips),
        settings=SETTINGS,
        threads=job.threads,
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
