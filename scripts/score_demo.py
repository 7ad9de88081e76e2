"""Rule score_demo: map Snakemake's job onto tapemill.demo.score.score_demo."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.score import score_demo


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
    script.run(main, snakemake)
