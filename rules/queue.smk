"""
The queue of tapes: `all` asks for a few at a time, and for none that is finished and unchanged (docs/scale.md).

INPUT    the sheet; of each tape its results, the size and time of its capture
OUTPUT   .snakemake/tapemill/settled/{tape}.json   what Snakemake found nothing to do for, and what it looked like then
"""

from snakemake.io import flag

from tapemill.workflow.tape_queue import TapeQueue


def files_of_tape(tape):
    """What `all` asks for of one tape."""
    suffixes = [config["tape"]["container"], "srt", "vtt"]
    records = ["provenance.json", "ro-crate-metadata.json", *(["report/making.html"] if PAGED else [])]
    return [f"results/{tape}/{name}" for name in [*(f"{tape}.{suffix}" for suffix in suffixes), *records]]


def made_from(tape):
    """All that jobs of a tape depend on besides files: if any of it changes, Snakemake is asked again."""
    stages = ["capture", "scenes", "audio", "subtitles", "enhance", "tape", "report"]
    return {
        "row": vars(TAPES[tape].row),
        "config": {stage: config[stage] for stage in stages},
        "enhance": ENHANCE.sections_of(tape),
        "overrides": ENHANCE.rows_of(tape),
        "speech": [str(SPEECH_MODEL.path), SPEECH_MODEL.sha256],
    }


QUEUE = TapeQueue(
    workflow,
    TAPES,
    wanted=files_of_tape,
    # Something that is there, or Snakemake would call it a job that all tapes are finished.
    last=lambda: ["results/report/runs.html" if PAGED else config["sheet"]],
    settings=made_from,
    limits=config["queue"],
    say=logger.info,
)
# What Snakemake's own `from_queue` makes of a queue.
QUEUE_OF_TAPES = flag(QUEUE.consume, "from_queue", QUEUE)
