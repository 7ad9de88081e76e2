"""
Queue of tapes: `all` requests a few at a time, and no finished, unchanged ones (docs/scale.md).

INPUT    the sheet; of each tape its results, the size and time of its capture
OUTPUT   .snakemake/tapemill/settled/{tape}.json   digests of a tape for which Snakemake found nothing to do
"""

from snakemake.io import flag

from tapemill.workflow.tape_queue import TapeQueue
from tapemill.workflow.tape_recipe import SECTIONS


def files_of_tape(tape):
    """Targets of `all` for one tape: its results, and the check of a capture that is not vouched for."""
    suffixes = [config["tape"]["container"], "srt", "vtt"]
    records = ["provenance.json", "ro-crate-metadata.json", *(["report/making.html"] if PAGED else [])]
    results = [f"results/{tape}/{name}" for name in [*(f"{tape}.{suffix}" for suffix in suffixes), *records]]
    return results + TAPES[tape].pending_checks


def tape_settings(tape):
    """Everything but files that jobs of a tape depend on: after a change Snakemake evaluates the tape again."""
    settings = SETTINGS.of_tape(tape)
    return {
        "row": vars(TAPES[tape].row),
        "config": {name: settings.config[name] for name in [*SECTIONS, "report"]},
        "recipe": settings.recipe.numbers,
        "enhance": settings.enhance.sections_of(tape),
        "overrides": settings.enhance.rows_of(tape),
        "speech": [str(settings.speech_model.path), settings.speech_model.sha256],
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
