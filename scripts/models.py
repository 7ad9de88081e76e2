"""Rule models: map Snakemake's job onto tapemill.models.fetch_models."""

from pathlib import Path
from typing import Any

from tapemill.models import fetch_models

from tapemill import script


def main(job: Any) -> None:
    fetch_models(names=job.params.models, lock=Path(job.params.lock), folder=Path(job.params.folder))


if __name__ == "__main__":
    script.run(main, snakemake)
