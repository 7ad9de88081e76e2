"""Rule models: map Snakemake's job onto tapemill.models.fetch_models."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.models import fetch_models


def main(job: Any) -> None:
    fetch_models(names=job.params.models, lock=Path(job.params.lock), folder=Path(job.params.folder))


if __name__ == "__main__":
    script.run(main, snakemake)
