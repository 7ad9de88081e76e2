"""Rule render_tape_report: map Snakemake's job onto tapemill.report.tape_pages.render_tape_report."""

from pathlib import Path
from typing import Any

from tapemill.jobs import entrypoint
from tapemill.report.tape_pages import TapePages, render_tape_report


def main(job: Any) -> None:
    """Run the job."""
    render_tape_report(
        tape=Path(job.input.tape),
        sample=Path(job.input.sample),
        subtitles=Path(job.input.subtitles),
        score=Path(job.input.score) if job.input.get("score") else None,
        provenance=Path(job.input.provenance),
        pages=TapePages(**{name: Path(path) for name, path in job.output.items()}),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
