"""Rule score_demo: map Snakemake's job onto demo.score.score_demo."""

from pathlib import Path
from typing import Any

from demo.score import score_demo
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    score_demo(
        tape=Path(job.input.tape),
        subtitles=Path(job.input.subtitles),
        capture=Path(job.input.capture),
        truth=Path(job.input.truth),
        table=Path(job.input.table),
        report=Path(job.output.score),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
