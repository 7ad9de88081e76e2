"""Rule join_subtitles: map Snakemake's job onto tapemill.subtitles.join_subtitles."""

from fractions import Fraction
from pathlib import Path
from typing import Any

from tapemill.core.timing import FrameRange
from tapemill.jobs import entrypoint
from tapemill.subtitles import join_subtitles


def main(job: Any) -> Any:
    rate = Fraction(job.params.rate)
    spans = [FrameRange(*span) for span in job.params.spans]
    return join_subtitles(
        cues=[Path(cue) for cue in job.input.cues],
        starts_s=[span.start_s(rate) for span in spans],
        durations_s=[span.duration_s(rate) for span in spans],
        srt=Path(job.output.srt),
        vtt=Path(job.output.vtt),
        gap_s=job.params.gap_frames / rate,
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
