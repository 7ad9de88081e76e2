"""Rule render_run_report: map Snakemake's job onto tapemill.report.run_page.render_run_report."""

from pathlib import Path
from typing import Any

from tapemill.jobs import entrypoint
from tapemill.report.run_page import render_run_report


def main(job: Any) -> None:
    """Run the job."""
    samples = {Path(sample).parts[-3]: Path(sample) for sample in job.input}
    render_run_report(tapes=job.params.tapes, samples=samples, target=Path(job.output.page))


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
