"""Rule make_speech_corpus: map Snakemake's job onto tapemill.demo.corpus.make_corpus."""

from pathlib import Path
from typing import Any

from tapemill import script
from tapemill.demo.corpus import make_corpus


def main(job: Any) -> None:
    """Run the job."""
    make_corpus(train=Path(job.output.train), test=Path(job.output.test))


if __name__ == "__main__":
    script.run(main, snakemake)
