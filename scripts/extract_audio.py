"""Rule extract_audio: map Snakemake's job onto tapemill.audio.extract_audio."""

from pathlib import Path
from typing import Any

from tapemill.audio import extract_audio
from tapemill.core.timing import FrameRange, parse_fraction
from tapemill.jobs import entrypoint
from tapemill.media.capture_info import SourceFileInfo


def main(job: Any) -> None:
    extract_audio(
        source=Path(job.params.source),
        take=SourceFileInfo.from_plain(job.params.take),
        sound_stream=job.params.sound,
        span=FrameRange(*job.params.span),
        target=Path(job.output.audio),
        per_picture_second=parse_fraction(job.params.stretch or "1"),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
