"""Rule make_demo_capture: map Snakemake's job onto demo.tape.make_capture.make_capture."""

from pathlib import Path
from typing import Any

from demo.tape.make_capture import make_capture
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    make_capture(
        recording=Path(job.input.recording),
        table=Path(job.input.table),
        capture=Path(job.output.capture),
        truth=Path(job.output.truth),
        threads=job.threads,
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
