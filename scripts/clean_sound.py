"""Rule clean_sound: map Snakemake's job onto tapemill.audio.clean_sound."""

from pathlib import Path
from typing import Any

from tapemill.audio import AudioSettings, clean_sound
from tapemill.jobs import entrypoint
from tapemill.media.capture_info import AudioTrackInfo, SourceFileInfo


def main(job: Any) -> None:
    clean_sound(
        sources=[Path(file) for file in job.params.sources],
        takes=[SourceFileInfo.from_plain(take) for take in job.params.takes],
        sounds=[AudioTrackInfo.from_plain(sound) for sound in job.params.sounds],
        target=Path(job.output.sound),
        record=Path(job.output.record),
        settings=AudioSettings(**job.params.settings),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
