"""Rule enhance_scene: map Snakemake's job onto tapemill.enhance.enhance_scene."""

from pathlib import Path
from typing import Any

from tapemill import lanes
from tapemill.enhance import EnhanceSettings, OutputFormat, SceneFilm, VideoInfo, enhance_scene
from tapemill.jobs import entrypoint
from tapemill.storage import atomic


def main(job: Any) -> Any:
    with atomic.consume_temp(Path(job.input.clip), keep=job.config["disk"]["keep_cuts"]) as clip:
        return lanes.run_on_lane(
            *(job, enhance_scene),
            clip=clip,
            target=Path(job.output.clip),
            record=Path(job.output.record),
            picture=VideoInfo.from_plain(job.params.picture),
            frames=job.params.frames,
            settings=EnhanceSettings(**job.params.settings),
            output=OutputFormat.from_plain(job.params.output),
            film=SceneFilm.from_plain(job.params.film) if job.params.film else None,
            encoder_choice=Path(job.input.encoder) if job.input.get("encoder") else None,
            on_failure=job.config["on_scene_failure"],
        )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
