"""Rule transcribe_scene: map Snakemake's job onto tapemill.subtitles.transcribe_scene."""

from fractions import Fraction
from pathlib import Path
from typing import Any

from tapemill import lanes, models
from tapemill.jobs import entrypoint
from tapemill.subtitles import SubtitlesSettings, transcribe_scene


def main(job: Any) -> Any:
    return lanes.run_on_lane(
        job,
        transcribe_scene,
        audio=Path(job.input.audio),
        model=models.ModelFile(Path(str(job.input.model)), job.params.model_sha256),
        srt=Path(job.output.srt),
        record=Path(job.output.record),
        rate=Fraction(job.params.rate),
        **{name: getattr(job.params, name) for name in ("language", "frames", "recipe", "task")},
        settings=SubtitlesSettings(**job.params.settings),
        smaller=models.smaller_models(job.params.settings["model"], translating=job.params.task == "translate"),
        on_failure=job.config["on_scene_failure"],
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
