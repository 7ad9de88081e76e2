"""Rule cut_scene: map Snakemake's job onto tapemill.scenes.cut_scene."""

from pathlib import Path
from typing import Any

from tapemill.core.timing import FrameRange
from tapemill.jobs import entrypoint
from tapemill.media.capture_info import SourceFileInfo, VideoInfo
from tapemill.scenes import cut_scene


def main(job: Any) -> Any:
    return cut_scene(
        source=Path(job.params.source),
        take=SourceFileInfo.from_plain(job.params.take),
        sound_stream=job.params.sound,
        span=FrameRange(*job.params.span),
        target=Path(job.output.clip),
        picture=VideoInfo.from_plain(job.params.picture),
        threads=job.threads,
        on_failure=job.config["on_scene_failure"],
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
