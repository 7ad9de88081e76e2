"""
Stage audio: audio of one scene for speech recognition, and the audio of the tape.

INPUT    the capture
OUTPUT   results/{tape}/audio/{scene}.wav     16 kHz mono, exactly the range of the scene
         results/{tape}/sound.mka             all audio tracks, continuous, cleaned if requested; empty if there is none
"""


rule extract_audio:
    """Extract the audio of one scene from the capture, for speech recognition."""
    input:
        capture=ancient(scene_source),
        facts=ancient(facts_of_folder),
    output:
        audio="results/{tape}/audio/{scene}.wav",
    log:
        "logs/extract_audio/{tape}/{scene}.log",
    benchmark:
        "benchmarks/extract_audio/{tape}/{scene}.tsv"
    # If the language is detected by vote, the audio of some scenes is needed first.
    group:
        in_group(lambda wildcards: "audio" if from_sheet("language")(wildcards) == "auto" else "subtitles")
    resources:
        disk_mb=disk_mb_of("speech_audio"),
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        source=of_job(JobParams.source),
        fingerprint=of_job(JobParams.fingerprint),
        take=of_job(JobParams.take),
        span=of_job(JobParams.span_in_file),
        sound=of_job(JobParams.speech_stream),
        stretch=of_job(JobParams.stretch),
        recipe=recipe("extract_audio"),
    message:
        "Extracting the audio of scene {wildcards.scene} of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/extract_audio.py"


rule clean_sound:
    """Clean the audio of the tape as one piece; it is never cut."""
    input:
        files=ancient(source_files),
        facts="results/{tape}/capture.json",
    output:
        sound="results/{tape}/sound.mka",
        record="results/{tape}/sound.json",
    log:
        "logs/clean_sound/{tape}.log",
    benchmark:
        "benchmarks/clean_sound/{tape}.tsv"
    resources:
        disk_mb=disk_mb_of("tape_audio"),
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        sources=of_job(JobParams.sources),
        fingerprint=of_job(JobParams.fingerprint),
        takes=of_job(JobParams.takes),
        sounds=of_job(JobParams.sounds),
        settings=section("audio"),
        recipe=recipe("clean_sound"),
    message:
        "Cleaning the audio of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/clean_sound.py"
