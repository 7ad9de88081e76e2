"""Rule cut_scene: map Snakemake's job onto tapemill.scenes.cut_scene."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.facts import PictureFacts, TakeFacts
from tapemill.scenes import cut_scene
from tapemill.timing import Span


def main(job: Any) -> Any:
    return cut_scene(
        source=Path(job.params.source),
        take=TakeFacts.from_plain(job.params.take),
        sound_stream=job.params.sound,
        span=Span(*job.params.span),
        target=Path(job.output.clip),
        picture=PictureFacts.from_plain(job.params.picture),
        threads=job.threads,
        on_failure=job.config["on_scene_failure"],
    )


if __name__ == "__main__":
    script.run(main, snakemake)
