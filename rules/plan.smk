"""
Plan: remaining jobs of `all`, their duration and their resources.

INPUT    results/, benchmarks/, events/, the headers of captures that have not been probed
OUTPUT   none, it prints; with the setting plan.json that file
"""


rule show_plan:
    """Print remaining jobs of `all`, the expected end, and the resources. Makes no file, even if some are missing."""
    localrule: True
    log:
        "logs/show_plan/plan.log",
    message:
        "Calculating the plan"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/show_plan.py"


use rule show_plan as plan with:
    message:
        "The rule plan is now called show_plan; the old name goes on working"
