"""Rule evaluate_demo_network: map Snakemake's job onto demo.training.evaluate_restoration.evaluate_network."""

from pathlib import Path
from typing import Any

from demo.training.evaluate_restoration import evaluate_network
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    evaluate_network(
        model=Path(job.input.model),
        capture=Path(job.input.capture),
        truth=Path(job.input.truth),
        report=Path(job.output.report),
        threads=job.threads,
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
