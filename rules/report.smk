"""
The report: pages of each tape, and of the runs that made the tapes, for `snakemake all --report report.html`.

INPUT    results/{tape}/{tape}.mkv, the capture, records of the tape's scenes, events/
         results/demo/score.json                  of the demo tape alone
OUTPUT   results/{tape}/report/sample.json        stills, measures and thumbnails: all that is taken from pictures
         results/{tape}/report/*.html             before and after, scenes, subtitles, picture, how it was made
         results/{tape}/report/headlines.json     what each page says, in a line
         results/report/runs.html                 what ran on which lane when, what failed, what was tried again
         results/report/so_far.html               the same while not all tapes are finished (`snakemake report_finished`)

What the pages say comes with the tape, so they are made again when the tape is; events that come later, or go, change
nothing. No param and no label of a rule with pages may hold text of a stranger: Snakemake puts them into its own page
as they are.
"""

from demo.score_page import can_be_scored
from tapemill import events
from tapemill.report import entry

PAGES = 1
PAGED = list(TAPES) if config["report"]["pages"] else []
FINISHED = [tape for tape in TAPES if Path(f"results/{tape}/{tape}.{config['tape']['container']}").exists()]
IS_SCORED = "demo" in TAPES and can_be_scored(
    TAPES["demo"].row, DEMO_CAPTURE, EnhanceSettings(**ENHANCE.of_tape), config["tape"]["container"]
)


report: "report/workflow.rst"


rule sample_report_frames:
    """Look at some places of a tape, and at the same ones of its capture."""
    input:
        tape=f"results/{{tape}}/{{tape}}.{config['tape']['container']}",
        facts=ancient("results/{tape}/capture.json"),
        capture=ancient(source_files),
        # Not read: the params know the scenes by it.
        scenes=ancient(lambda wildcards: scene_table(wildcards.tape) or []),
    output:
        sample="results/{tape}/report/sample.json",
    log:
        "logs/sample_report_frames/{tape}.log",
    benchmark:
        "benchmarks/sample_report_frames/{tape}.tsv"
    resources:
        mem_mb=REQUESTS.mem_mb,
        runtime=REQUESTS.minutes,
    params:
        sources=of_job(JobParams.sources),
        fingerprint=of_job(JobParams.fingerprint),
        output=of_job(JobParams.output),
        scenes=lambda wildcards: scene_ids(wildcards.tape),
        spans=of_job(JobParams.spans),
        stills=config["report"]["stills"],
        recipe=PAGES,
    message:
        "Comparing {wildcards.tape} with its capture"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/sample_report_frames.py"


rule render_tape_report:
    """Draw the pages of a tape."""
    input:
        tape=f"results/{{tape}}/{{tape}}.{config['tape']['container']}",
        sample="results/{tape}/report/sample.json",
        subtitles="results/{tape}/{tape}.srt",
        provenance="results/{tape}/provenance.json",
        score=lambda wildcards: "results/demo/score.json" if IS_SCORED and wildcards.tape == "demo" else [],
    output:
        before_after=report(**entry("before_after", "Before and after")),
        scenes=report(**entry("scenes", "Scenes")),
        subtitles=report(**entry("subtitles", "Subtitles")),
        quality=report(**entry("quality", "Picture")),
        making=report(**entry("making", "How it was made")),
        headlines="results/{tape}/report/headlines.json",
    log:
        "logs/render_tape_report/{tape}.log",
    benchmark:
        "benchmarks/render_tape_report/{tape}.tsv"
    params:
        recipe=PAGES,
    message:
        "Drawing the pages of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/render_tape_report.py"


rule render_run_report:
    """Draw what ran where and when. All tapes are there by then, so it is the last of a run."""
    input:
        samples=lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.taken_in(TAPES)),
        # As they are: who made them is not in the plan.
        others=before_update(lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.left_out(TAPES))),
    output:
        page=report(
            "results/report/runs.html",
            category="Runs",
            labels={"page": "Lanes and jobs"},
            caption="report/runs.rst",
        ),
    log:
        "logs/render_run_report/runs.log",
    benchmark:
        "benchmarks/render_run_report/runs.tsv"
    params:
        tapes=list(TAPES),
        recipe=PAGES,
    message:
        "Drawing what ran where and when"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/render_run_report.py"


use rule render_run_report as render_finished_report with:
    input:
        samples=lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.taken_in(FINISHED)),
        others=before_update(lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.left_out(FINISHED))),
    output:
        page=report(
            "results/report/so_far.html",
            category="Runs",
            labels={"page": "Lanes and jobs so far"},
            caption="report/runs.rst",
        ),
    log:
        "logs/render_finished_report/runs.log",
    benchmark:
        "benchmarks/render_finished_report/runs.tsv"
    params:
        tapes=list(TAPES),
        recipe=PAGES,
        # What has happened since is the reason to draw it anew.
        last_run=lambda wildcards: events.runs()[-1:],
