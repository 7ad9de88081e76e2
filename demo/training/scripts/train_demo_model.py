"""Rule train_demo_model: map Snakemake's job onto demo.training.train_asr.train_model."""

from pathlib import Path
from typing import Any

from demo.training.train_asr import TrainingSettings, train_model
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    settings = TrainingSettings(minutes=job.params.minutes, threads=job.threads)
    train_model(speech=Path(job.input.speech), model=Path(job.output.model), settings=settings)


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
