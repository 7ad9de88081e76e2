"""Rule sample_report_frames: map Snakemake's job onto tapemill.report.sampling.sample_report_frames."""

from pathlib import Path
from typing import Any

from tapemill.core.timing import FrameRange
from tapemill.enhance import OutputFormat, SceneFilm
from tapemill.jobs import entrypoint
from tapemill.media.capture_info import Capture
from tapemill.report.sampling import SampledTape, sample_report_frames


def main(job: Any) -> None:
    capture = Capture.read(Path(job.input.facts))
    facts = SampledTape(
        sources=[Path(source) for source in job.params.sources],
        takes=capture.takes,
        picture=capture.picture,
        rotation_deg=capture.notes["rotation_deg"],
        output=OutputFormat.from_plain(job.params.output),
        scenes=job.params.scenes,
        spans=[FrameRange(*span) for span in job.params.spans],
        films=[SceneFilm.from_plain(film) for film in job.params.films or ()],
    )
    tape = Path(job.input.tape)
    sample_report_frames(tape=tape, facts=facts, stills=job.params.stills, target=Path(job.output.sample))


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
