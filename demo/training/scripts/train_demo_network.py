"""Rule train_demo_network: map Snakemake's job onto demo.training.train_restoration.train_network."""

from pathlib import Path
from typing import Any

from demo.training.train_restoration import TrainingSettings, train_network
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    settings = TrainingSettings(
        features=job.params.features,
        convs=job.params.convs,
        steps=job.params.steps,
        seed=job.params.seed,
        threads=job.threads,
    )
    train_network(pairs=Path(job.input.pairs), model=Path(job.output.model), settings=settings)


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
