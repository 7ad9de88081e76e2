"""Rule evaluate_demo_network: map Snakemake's job onto tapemill.demo.restoration_evaluation.evaluate_network."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.restoration_evaluation import evaluate_network


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
    script.run(main, snakemake)
