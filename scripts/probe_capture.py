"""Rule probe_capture: map Snakemake's job onto tapemill.capture.probe.probe_capture."""

from pathlib import Path
from typing import Any

from tapemill.capture.probe import CaptureSettings, probe_capture
from tapemill.config.aspect import SheetAspect
from tapemill.jobs import entrypoint
from tapemill.records import known_content
from tapemill.storage.fingerprint import scene_files
from tapemill.workflow.tape_recipe import begin_tape


def main(job: Any) -> None:
    aspect, source = SheetAspect.parse(job.params.aspect), Path(job.params.source)
    probe_capture(
        source=source,
        target=Path(job.output.facts),
        field_order=job.params.field_order,
        display_aspect=aspect.display,
        pixel_aspect=aspect.pixel,
        settings=CaptureSettings(**job.params.settings),
    )
    known_content.note_probed(job.wildcards.tape, scene_files(source) if source.is_dir() else [source])
    begin_tape(Path(job.output.facts).parent)


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
