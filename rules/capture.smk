"""
Stage capture: probe a capture.

INPUT    the source of the sheet         a media file, or a folder of ready scene files
OUTPUT   results/{tape}/capture.json          streams, exact rate, frames, field order, aspect, colour, audio tracks
         results/{tape}/recipe.json           recipe and defaults of a tape that begins (no output of the rule)
         results/{tape}/capture_sha256.json   size, fingerprint and SHA-256 of each of its files
         .snakemake/tapemill/captures/{tape}/{state}.json
                                              path, size, times and inode that vouch for this content
"""


rule probe_capture:
    """Probe streams, count frames, fit a constant frame rate, detect the field order."""
    input:
        files=ancient(source_files),
    output:
        facts="results/{tape}/capture.json",
    log:
        "logs/probe_capture/{tape}.log",
    benchmark:
        "benchmarks/probe_capture/{tape}.tsv"
    resources:
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        source=from_sheet("source"),
        fingerprint=of_job(JobParams.fingerprint),
        field_order=from_sheet("field_order"),
        aspect=from_sheet("aspect"),
        settings=section("capture"),
        recipe=recipe("probe_capture"),
    message:
        "Probing the capture of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/probe_capture.py"


rule hash_capture:
    """Read the whole capture for its SHA-256, beside other work; an unchanged file is not read again."""
    input:
        files=ancient(source_files),
        # Only an accepted capture is worth hours of reading.
        facts=ancient("results/{tape}/capture.json"),
    output:
        hashes=update("results/{tape}/capture_sha256.json"),
    log:
        "logs/hash_capture/{tape}.log",
    benchmark:
        "benchmarks/hash_capture/{tape}.tsv"
    # Only the provenance waits for it.
    priority: -1
    resources:
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        sources=of_job(JobParams.sources),
        fingerprint=of_job(JobParams.fingerprint),
    message:
        "Hashing the capture of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/hash_capture.py"


rule check_capture:
    """Read a capture that was moved, copied or touched again, to its end: only then is its content known to be the same."""
    input:
        files=ancient(source_files),
        hashes=ancient("results/{tape}/capture_sha256.json"),
    output:
        check=".snakemake/tapemill/captures/{tape}/{state}.json",
    log:
        "logs/check_capture/{tape}/{state}.log",
    benchmark:
        "benchmarks/check_capture/{tape}/{state}.tsv"
    # Nothing waits for it but the end of the run.
    priority: -1
    resources:
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        sources=of_job(JobParams.sources),
    message:
        "Checking the content of the capture of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/check_capture.py"
