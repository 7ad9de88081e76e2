"""Rule check_capture: map Snakemake's job onto tapemill.capture.checksum.check_capture."""

from pathlib import Path
from typing import Any

from tapemill.capture.checksum import check_capture
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    check_capture(
        tape=job.wildcards.tape,
        sources=[Path(file) for file in job.params.sources],
        record=Path(job.input.hashes),
        target=Path(job.output.check),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
