"""
Faults: rows of the tables that cannot be used. Each costs its tape; the run ends with exit code 1, and names them.

INPUT    the sheet, the table of scene settings
OUTPUT   none; the job fails
"""

from tapemill.workflow.settings import FAULTS_MARKER


rule report_faulty_rows:
    """Fail with the rows of the tables that cannot be used, so that the run ends with an error. Other tapes are made."""
    localrule: True
    output:
        # Never written.
        marker=FAULTS_MARKER,
    log:
        "logs/report_faulty_rows/rows.log",
    # Last, because without `keep-going` it stops the run.
    priority: -10
    params:
        # A function, because Snakemake takes braces in a text, as in a pattern or a cell, for wildcards.
        rows=lambda _: [str(fault) for fault in SETTINGS.faults],
    message:
        "Naming rows of the tables that cannot be used"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/report_faulty_rows.py"
