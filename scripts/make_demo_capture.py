"""Rule make_demo_capture: map Snakemake's job onto tapemill.demo.capture.make_capture."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.capture import make_capture


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
    script.run(main, snakemake)
