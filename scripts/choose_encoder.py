"""Rule choose_encoder: map Snakemake's job onto tapemill.enhance.choose_encoder."""

from pathlib import Path
from typing import Any

from tapemill import lanes
from tapemill.enhance import EnhanceSettings, choose_encoder
from tapemill.jobs import entrypoint
from tapemill.media.capture_info import VideoInfo


def main(job: Any) -> None:
    lanes.run_on_lane(
        job,
        choose_encoder,
        target=Path(job.output.encoder),
        picture=VideoInfo.from_plain(job.params.picture),
        settings=EnhanceSettings(**job.params.settings),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
