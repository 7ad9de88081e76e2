"""Rule write_provenance: map Snakemake's job onto tapemill.provenance.write_provenance."""

from pathlib import Path
from typing import Any

from tapemill.jobs import entrypoint
from tapemill.models import ModelFile
from tapemill.provenance import Request, TapeFiles, write_provenance
from tapemill.workflow.tape_recipe import config_of_tape


def main(job: Any) -> None:
    files, params = job.input, job.params
    subtitles = [Path(file) for file in [*files.subtitles, files.vtt]]
    model = ModelFile(Path(params.speech_model[0]), params.speech_model[1])
    settings = {**config_of_tape(Path(files.facts).parent, job.config), "enhance": params.enhance}
    write_provenance(
        files=TapeFiles(Path(files.facts).parent, Path(files.tape), subtitles, Path(files.hashes)),
        request=Request(
            params.row, settings, params.overrides, params.recipes, params.language or None, model, job.config
        ),
        scenes=params.scenes,
        target=Path(job.output.provenance),
        metadata=Path(job.output.crate),
        workflow=Path(job.output.workflow),
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
