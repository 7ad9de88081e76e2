"""
Queue of tapes: `all` requests a few at a time, and no finished, unchanged ones (docs/scale.md).

INPUT    the sheet; of each tape its results, the size and time of its capture
OUTPUT   .snakemake/tapemill/settled/{tape}.json   digests of a tape for which Snakemake found nothing to do
"""

from snakemake.io import flag

from tapemill.workflow.tape_queue import TapeQueue


def files_of_tape(tape):
    """Targets of `all` for one tape."""
    suffixes = [config["tape"]["container"], "srt", "vtt"]
    records = ["provenance.json", "ro-crate-metadata.json", *(["report/making.html"] if PAGED else [])]
    return [f"results/{tape}/{name}" for name in [*(f"{tape}.{suffix}" for suffix in suffixes), *records]]


def tape_settings(tape):
    """Everything but files that jobs of a tape depend on: after a change Snakemake evaluates the tape again."""
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
    targets=files_of_tape,
    # An existing file; otherwise Snakemake would run a job although all tapes are finished.
    final_targets=lambda: ["results/report/runs.html" if PAGED else config["sheet"]],
    settings=tape_settings,
    limits=config["queue"],
    log=logger.info,
)
# The flag that Snakemake's own `from_queue` sets.
QUEUE_OF_TAPES = flag(QUEUE.consume, "from_queue", QUEUE)
