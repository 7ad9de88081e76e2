"""Rule evaluate_demo_model: map Snakemake's job onto demo.training.evaluate_asr.evaluate_model."""

from pathlib import Path
from typing import Any

from demo.training.evaluate_asr import evaluate_model
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    evaluate_model(
        model=Path(job.input.model),
        speech=Path(job.input.speech),
        report=Path(job.output.report),
        clips=job.params.clips,
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
