"""Rule extract_audio: map Snakemake's job onto tapemill.audio.extract_audio."""

from pathlib import Path
from typing import Any

from tapemill.audio import extract_audio
from tapemill.core.timing import Span
from tapemill.jobs import entrypoint
from tapemill.media.capture_info import TakeFacts


def main(job: Any) -> None:
    extract_audio(
        source=Path(job.params.source),
        take=TakeFacts.from_plain(job.params.take),
        sound_stream=job.params.sound,
        span=Span(*job.params.span),
        target=Path(job.output.audio),
    )


if __name__ == "__main__":
    entrypoint.run(main, snakemake)
