"""Rule choose_encoder: map Snakemake's job onto tapemill.enhance.choose_encoder."""

from pathlib import Path
from typing import Any

from tapemill import lanes, script
from tapemill.enhance import EnhanceSettings, choose_encoder
from tapemill.facts import PictureFacts


def main(job: Any) -> None:
    lanes.call(
        job,
        choose_encoder,
        target=Path(job.output.encoder),
        picture=PictureFacts.from_plain(job.params.picture),
        settings=EnhanceSettings(**job.params.settings),
    )


if __name__ == "__main__":
    script.run(main, snakemake)
