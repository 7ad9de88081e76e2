"""Rule train_demo_model: map Snakemake's job onto tapemill.demo.training.train_model."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.training import TrainingSettings, train_model


def main(job: Any) -> None:
    """Run the job."""
    settings = TrainingSettings(minutes=job.params.minutes, threads=job.threads)
    train_model(speech=Path(job.input.speech), model=Path(job.output.model), settings=settings)


if __name__ == "__main__":
    script.run(main, snakemake)
