"""Rule fetch_models: map Snakemake's job onto tapemill.models.fetch_models."""

from pathlib import Path
from typing import Any

from tapemill.enhance.networks.inspect_weights import inspect_weights
from tapemill.jobs import entrypoint
from tapemill.models import NETWORKS, fetch_models
from tapemill.models.whisper_checkpoint import inspect_checkpoint


def main(job: Any) -> None:
    places = {"lock": Path(job.params.lock), "folder": Path(job.params.folder)}
    fetch_models(names=job.params.speech, kinds={"speech"}, describe=inspect_checkpoint, **places)
    fetch_models(names=job.params.networks, kinds=NETWORKS, describe=inspect_weights, **places)


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
