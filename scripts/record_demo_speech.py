"""Rule record_demo_speech: map Snakemake's job onto tapemill.demo.speech.record_speech."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.speech import record_speech


def main(job: Any) -> None:
    """Run the job."""
    record_speech(recording=Path(job.output.recording), table=Path(job.output.table))


if __name__ == "__main__":
    script.run(main, snakemake)
