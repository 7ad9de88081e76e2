"""
Stage audio: what the speech model hears of a scene, and the tape's own sound.

INPUT    the capture
OUTPUT   results/{tape}/audio/{scene}.wav     16 kHz mono, exactly the scene's span
         results/{tape}/sound.mka             every sound track, whole and continuous, cleaned if asked; empty if there is none
"""


rule extract_audio:
    """Take the sound of one scene from the capture, for speech recognition."""
    input:
        capture=ancient(scene_source),
        facts=ancient(ready_facts),
    output:
        audio="results/{tape}/audio/{scene}.wav",
    log:
        "logs/extract_audio/{tape}/{scene}.log",
    benchmark:
        "benchmarks/extract_audio/{tape}/{scene}.tsv"
    # Where the language is voted for, some scenes are listened to first.
    group:
        in_group(lambda wildcards: "sound" if from_sheet("language")(wildcards) == "auto" else "speech")
    resources:
        disk_mb=disk_mb_of("speech"),
        mem_mb=REQUESTS.mem_mb,
        runtime=REQUESTS.minutes,
    params:
        source=of_job(JobParams.source),
        fingerprint=of_job(JobParams.fingerprint),
        take=of_job(JobParams.take),
        span=of_job(JobParams.span_in_file),
        sound=of_job(JobParams.speech_stream),
        recipe=RECIPE["audio"],
    message:
        "Listening to scene {wildcards.scene} of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/extract_audio.py"


rule clean_sound:
    """Clean the tape's sound as one piece; it is never cut."""
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
        disk_mb=disk_mb_of("sound"),
        mem_mb=REQUESTS.mem_mb,
        runtime=REQUESTS.minutes,
    params:
        sources=of_job(JobParams.sources),
        fingerprint=of_job(JobParams.fingerprint),
        takes=of_job(JobParams.takes),
        sounds=of_job(JobParams.sounds),
        settings=config["audio"],
        recipe=RECIPE["audio"],
    message:
        "Cleaning the sound of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/clean_sound.py"
