"""Rule mux_tape: map Snakemake's job onto tapemill.tape.mux_tape."""

from pathlib import Path
from typing import Any

from tapemill.core.timing import FrameRange, parse_fraction
from tapemill.jobs import entrypoint
from tapemill.tape import SubtitleTrack, TapeDescription, TapeSettings, build_tags, mux_tape, plan_chapters
from tapemill.workflow.tape_recipe import config_of_tape


def main(job: Any) -> Any:
    rate, settings, target = parse_fraction(job.params.rate), TapeSettings(**job.params.settings), Path(job.output.tape)
    spans, clips = [FrameRange(*span) for span in job.params.spans], [Path(clip) for clip in job.input.clips]
    tags = job.params.tags | build_tags(clips, config_of_tape(target.parent, job.config))
    return mux_tape(
        clips=clips,
        clip_frames=[span.frames for span in spans],
        rate=rate,
        audio=Path(job.input.sound),
        subtitles=[SubtitleTrack(Path(path), *kind) for path, kind in job.params.subtitles.items()],
        chapters=plan_chapters(spans=spans, rate=rate, settings=settings),
        description=TapeDescription(job.params.title, job.params.date, job.params.language or "", tags),
        target=target,
        settings=settings,
    )


if __name__ == "__main__":
    entrypoint.run_job(main, snakemake)
