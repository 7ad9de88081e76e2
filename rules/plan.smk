"""
Plan: what a run of `all` would do, how long that would take and what it would need.

INPUT    what is there: results/, benchmarks/, events/, the heads of captures nobody has looked into yet
OUTPUT   nothing but what it prints; with the setting plan.json that file
"""


rule show_plan:
    """Show what `all` has to do yet, until when, and what it takes. Makes nothing, whatever is missing."""
    localrule: True
    log:
        "logs/show_plan/plan.log",
    params:
        producible=[DEMO_CAPTURE],
    message:
        "Working out what is to do"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/show_plan.py"


use rule show_plan as plan with:
    message:
        "The rule plan is now called show_plan; the old name goes on working"
