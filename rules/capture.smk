"""
Stage capture: find out what a capture is.

INPUT    the source of the sheet         a media file, or a folder of ready scene files
OUTPUT   results/{tape}/capture.json     streams, exact rate, frames, field order, aspect, colour, sound tracks
"""


rule probe_capture:
    """Probe streams, count frames, lay the constant-rate grid, detect the field order."""
    input:
        files=ancient(source_files),
    output:
        facts="results/{tape}/capture.json",
    log:
        "logs/probe_capture/{tape}.log",
    benchmark:
        "benchmarks/probe_capture/{tape}.tsv"
    params:
        source=from_sheet("source"),
        fingerprint=known("fingerprint"),
        field_order=from_sheet("field_order"),
        aspect=from_sheet("aspect"),
        settings=config["capture"],
        recipe=RECIPE["capture"],
    message:
        "Looking into the capture of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/probe_capture.py"
