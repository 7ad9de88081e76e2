"""Rule detect_language: map Snakemake's job onto tapemill.subtitles.vote_language."""

from pathlib import Path
from typing import Any

from tapemill import lanes, models
from tapemill.jobs import entrypoint
from tapemill.subtitles import SubtitlesSettings, vote_language


def main(job: Any) -> None:
    lanes.run_on_lane(
        job,
        vote_language,
        audios=[Path(audio) for audio in job.input.audio],
        model=models.ModelFile(Path(str(job.input.model)), job.params.model_sha256),
        target=Path(job.output.language),
        settings=SubtitlesSettings(**job.params.settings),
        smaller=models.smaller_models(job.params.settings["model"]),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
