"""Rule detect_scenes: map Snakemake's job onto tapemill.scenes.detect_scenes."""

from pathlib import Path
from typing import Any

from tapemill.jobs import entrypoint
from tapemill.media.capture_info import Capture
from tapemill.scenes import ScenesSettings, detect_scenes


def main(job: Any) -> None:
    detect_scenes(
        source=Path(job.params.source),
        capture=Capture.read(Path(job.input.facts)),
        settings=ScenesSettings(**job.params.settings),
        table=Path(job.output.table),
        edl=Path(job.output.edl),
        csv=Path(job.output.csv),
        film=job.params.film or "auto",
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
