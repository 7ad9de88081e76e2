"""Rule hash_capture: map Snakemake's job onto tapemill.capture.checksum.hash_capture."""

from pathlib import Path
from typing import Any

from tapemill.capture.checksum import hash_capture
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    hash_capture(
        tape=job.wildcards.tape,
        sources=[Path(file) for file in job.params.sources],
        target=Path(job.output.hashes),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
