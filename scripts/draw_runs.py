"""Rule draw_runs: map Snakemake's job onto tapemill.report.draw_runs."""

from pathlib import Path
from typing import Any

from tapemill import report, script


def main(job: Any) -> None:
    """Run the job."""
    samples = dict(zip(job.params.tapes, map(Path, job.input.samples), strict=True))
    report.draw_runs(samples=samples, target=Path(job.output.page))


if __name__ == "__main__":
    script.run(main, snakemake)
