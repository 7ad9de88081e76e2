"""Rule report_faulty_rows: map Snakemake's job onto tapemill.workflow.settings.report_faulty_rows."""

from typing import Any

from tapemill.jobs import entrypoint
from tapemill.workflow.settings import report_faulty_rows


def main(job: Any) -> None:
    report_faulty_rows(job.params.rows)


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
