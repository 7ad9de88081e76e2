"""Rule transcribe_scene: map Snakemake's job onto tapemill.subtitles.transcribe_scene."""

from fractions import Fraction
from pathlib import Path
from typing import Any

from tapemill import lanes, models, script
from tapemill.subtitles import SubtitlesSettings, transcribe_scene


def main(job: Any) -> None:
    lanes.call(
        job,
        transcribe_scene,
        audio=Path(job.input.audio),
        model=models.ModelFile(Path(job.input.model), job.params.model_sha256),
        srt=Path(job.output.srt),
        record=Path(job.output.record),
        language=job.params.language,
        frames=job.params.frames,
        rate=Fraction(job.params.rate),
        settings=SubtitlesSettings(**job.params.settings),
        recipe=job.params.recipe,
        task=job.params.task,
        smaller=models.smaller_models(job.params.settings["model"], translating=job.params.task == "translate"),
    )


if __name__ == "__main__":
    script.run(main, snakemake)
