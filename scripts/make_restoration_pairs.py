"""Rule make_restoration_pairs: map Snakemake's job onto tapemill.demo.restoration_data.make_pairs."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.restoration_data import SETTINGS, Size, make_pairs


def main(job: Any) -> None:
    """Run the job."""
    make_pairs(
        target=Path(job.output.pairs),
        seed=job.params.seed,
        size=Size(clips=job.params.clips),
        settings=SETTINGS,
        threads=job.threads,
    )


if __name__ == "__main__":
    script.run(main, snakemake)
