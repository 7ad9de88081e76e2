"""
Tapemill: digitised home-video tapes in, restored tapes out.

Table of contents, in the order of the data flow. Each file under rules/ opens with its inputs and outputs.
Tapes and settings are in config/, machines in profiles/.
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/speech.smk"
include: "rules/run.smk"
include: "rules/models.smk"
include: "rules/demo.smk"
include: "rules/capture.smk"
include: "rules/scenes.smk"
include: "rules/audio.smk"
include: "rules/subtitles.smk"
include: "rules/enhance.smk"
include: "rules/tape.smk"
include: "rules/report.smk"
include: "rules/queue.smk"
include: "rules/plan.smk"
include: "rules/faults.smk"
include: "rules/clean.smk"


rule all:
    """Every tape of the sheet, and the pages of the report. Archives: a few tapes at a time, see docs/scale.md."""
    default_target: True
    input:
        QUEUE_OF_TAPES,
        FAULTS_MARKER if SETTINGS.faults else [],


rule report_finished:
    """Report pages of finished tapes, while others run or after some have failed."""
    input:
        lambda _: collect("results/{tape}/report/making.html", tape=QUEUE.planned(FINISHED)),
        "results/report/so_far.html",


# The old name goes on working.
use rule report_finished as so_far
