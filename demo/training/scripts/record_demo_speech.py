"""Rule record_demo_speech: map Snakemake's job onto demo.tape.speech.record_speech."""

from pathlib import Path
from typing import Any

from demo.tape.speech import record_speech
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    record_speech(recording=Path(job.output.recording), table=Path(job.output.table))


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
