"""
Report: pages of each tape, and of the runs that made the tapes, for `snakemake all --report report.html`.

INPUT    results/{tape}/{tape}.mkv, the capture, records of the tape's scenes, events/
         results/demo/score.json                  of the demo tape alone
OUTPUT   results/{tape}/report/sample.json        stills, measurements and thumbnails: all data from frames
         results/{tape}/report/*.html             before and after, scenes, subtitles, quality, how it was made
         results/{tape}/report/headlines.json     one-line summary of each page
         results/report/runs.html                 jobs by lane and time, failures, retries
         results/report/so_far.html               the same for finished tapes (`snakemake report_finished`)

Pages are made again when the tape is; later or deleted events change nothing. Params and labels of these rules must not
contain untrusted text: Snakemake puts them into its own page unescaped.
"""

from demo.score_page import can_be_scored
from tapemill import events
from tapemill.report import report_entry

PAGES = 1
PAGED = list(TAPES) if config["report"]["pages"] else []
FINISHED = [tape for tape in TAPES if Path(f"results/{tape}/{tape}.{config['tape']['container']}").exists()]
IS_SCORED = "demo" in TAPES and can_be_scored(
    TAPES["demo"].row, DEMO_CAPTURE, EnhanceSettings(**ENHANCE.of_tape), config["tape"]["container"]
)


report: "report/workflow.rst"


rule sample_report_frames:
    """Sample frames of a tape, and the same moments of its capture."""
    input:
        tape=f"results/{{tape}}/{{tape}}.{config['tape']['container']}",
        facts=ancient("results/{tape}/capture.json"),
        capture=ancient(source_files),
        # Not read: the params need the scenes.
        scenes=ancient(lambda wildcards: scene_table(wildcards.tape) or []),
    output:
        sample="results/{tape}/report/sample.json",
    log:
        "logs/sample_report_frames/{tape}.log",
    benchmark:
        "benchmarks/sample_report_frames/{tape}.tsv"
    resources:
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        sources=of_job(JobParams.sources),
        fingerprint=of_job(JobParams.fingerprint),
        output=of_job(JobParams.output),
        scenes=lambda wildcards: scene_ids(wildcards.tape),
        spans=of_job(JobParams.spans),
        films=of_job(JobParams.films),
        stills=config["report"]["stills"],
        recipe=PAGES,
    message:
        "Comparing {wildcards.tape} with its capture"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/sample_report_frames.py"


rule render_tape_report:
    """Render the report pages of a tape."""
    input:
        tape=f"results/{{tape}}/{{tape}}.{config['tape']['container']}",
        sample="results/{tape}/report/sample.json",
        subtitles="results/{tape}/{tape}.srt",
        provenance="results/{tape}/provenance.json",
        score=lambda wildcards: "results/demo/score.json" if IS_SCORED and wildcards.tape == "demo" else [],
    output:
        before_after=report(**report_entry("before_after", "Before and after")),
        scenes=report(**report_entry("scenes", "Scenes")),
        subtitles=report(**report_entry("subtitles", "Subtitles")),
        quality=report(**report_entry("quality", "Picture")),
        making=report(**report_entry("making", "How it was made")),
        headlines="results/{tape}/report/headlines.json",
    log:
        "logs/render_tape_report/{tape}.log",
    benchmark:
        "benchmarks/render_tape_report/{tape}.tsv"
    params:
        recipe=PAGES,
    message:
        "Rendering the report of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/render_tape_report.py"


rule render_run_report:
    """Render the page of all runs. It is the last job of a run, after all tapes."""
    input:
        samples=lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.planned(TAPES)),
        # Existing files only: their rules are not in the plan.
        others=before_update(lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.skipped(TAPES))),
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
        "Rendering the report of all runs"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/render_run_report.py"


use rule render_run_report as render_finished_report with:
    input:
        samples=lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.planned(FINISHED)),
        others=before_update(lambda _: collect("results/{tape}/report/sample.json", tape=QUEUE.skipped(FINISHED))),
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
        # A newer run is a reason to render it again.
        last_run=lambda wildcards: events.list_runs()[-1:],
