"""
Stage tape: mux the tape, and record how it was made.

INPUT    results/{tape}/enhanced/{scene}.mkv, results/{tape}/sound.mka, results/{tape}/{tape}.srt
OUTPUT   results/{tape}/{tape}.mkv     the restored tape: video, audio, subtitles, chapters, title, tags
                                       (.mp4 if the setting tape.container asks for it)
         results/{tape}/provenance.json            how it was made: config/schemas/provenance.schema.yaml
         results/{tape}/ro-crate-metadata.json     the folder as a Workflow Run RO-Crate, for archives
         results/{tape}/Snakefile                  a copy, for the crate
"""

from tapemill import provenance


rule mux_tape:
    """Join the clips without encoding again, add audio, subtitles and chapters, and verify every frame's time."""
    input:
        clips=of_each_scene("results/{tape}/enhanced/{scene}.mkv"),
        sound="results/{tape}/sound.mka",
        subtitles=lambda wildcards: list(subtitle_tracks(wildcards)),
        facts="results/{tape}/capture.json",
        # Not read, but its fingerprint is in the tape.
        capture=ancient(source_files),
    output:
        tape=f"results/{{tape}}/{{tape}}.{config['tape']['container']}",
    log:
        "logs/mux_tape/{tape}.log",
    benchmark:
        "benchmarks/mux_tape/{tape}.tsv"
    resources:
        disk_mb=disk_mb_of("tape"),
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        spans=of_job(JobParams.enhanced_spans),
        rate=of_job(JobParams.enhanced_rate),
        title=from_sheet("title"),
        date=from_sheet("date"),
        language=language,
        subtitles=subtitle_tracks,
        tags=tape_tags,
        settings=section("tape"),
        recipe=recipe("mux_tape"),
    message:
        "Joining {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/mux_tape.py"


rule write_provenance:
    """Record how a finished tape was made, from the records of its parts and the events of all runs."""
    input:
        tape=f"results/{{tape}}/{{tape}}.{config['tape']['container']}",
        subtitles=lambda wildcards: list(subtitle_tracks(wildcards)),
        vtt="results/{tape}/{tape}.vtt",
        hashes="results/{tape}/capture_sha256.json",
        facts="results/{tape}/capture.json",
        # An input from the start: params cannot wait for the checkpoint.
        scenes=lambda wildcards: scene_table(wildcards.tape) or [],
    output:
        provenance="results/{tape}/provenance.json",
        crate="results/{tape}/ro-crate-metadata.json",
        workflow="results/{tape}/Snakefile",
    log:
        "logs/write_provenance/{tape}.log",
    benchmark:
        "benchmarks/write_provenance/{tape}.tsv"
    params:
        row=of_job(JobParams.row),
        scenes=of_job(JobParams.scene_frames),
        enhance=of_job(JobParams.enhancement),
        overrides=of_job(JobParams.overrides),
        language=language,
        speech_model=speech_model_file,
        recipes=lambda wildcards: SETTINGS.of_tape(wildcards.tape).recipe.numbers,
        format=provenance.FORMAT,
    message:
        "Writing the provenance of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/write_provenance.py"
