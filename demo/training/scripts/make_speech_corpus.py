"""Rule make_speech_corpus: map Snakemake's job onto demo.training.speech_corpus.make_corpus."""

from pathlib import Path
from typing import Any

from demo.training.speech_corpus import make_corpus
from tapemill.jobs import entrypoint


def main(job: Any) -> None:
    """Run the job."""
    make_corpus(train=Path(job.output.train), test=Path(job.output.test))


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
