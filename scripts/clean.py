"""Rule clean: map Snakemake's job onto tapemill.cleaning.clean."""

from typing import Any

from tapemill import script
from tapemill.cleaning import clean


def main(job: Any) -> None:
    clean(tapes=job.params.tapes, container=job.params.container)


if __name__ == "__main__":
    script.run(main, snakemake)
