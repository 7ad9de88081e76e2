"""Rule evaluate_demo_model: map Snakemake's job onto tapemill.demo.evaluation.evaluate_model."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.evaluation import evaluate_model


def main(job: Any) -> None:
    """Run the job."""
    evaluate_model(
        model=Path(job.input.model),
        speech=Path(job.input.speech),
        report=Path(job.output.report),
        clips=job.params.clips,
    )


if __name__ == "__main__":
    script.run(main, snakemake)
