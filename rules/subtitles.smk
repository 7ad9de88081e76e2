"""
Stage subtitles: speech of the tape as cues.

INPUT    results/{tape}/audio/{scene}.wav, a Whisper model
OUTPUT   results/{tape}/subtitles/{scene}.srt      cues, times from the start of the scene; may be corrected by hand
         results/{tape}/subtitles/{scene}.json     record: detected speech, segments, confidence, removed text
         results/{tape}/language.json              language of most scenes (only if the sheet says auto)
         results/{tape}/{tape}.srt, .vtt           subtitles of the whole tape
With `subtitles: translate: true` the same again in English: results/{tape}/translated/{scene}.srt, {tape}.en.srt, .en.vtt
"""


checkpoint detect_language:
    """Detect the language of the tape by a vote of several scenes with speech."""
    input:
        audio=language_samples,
        model=ancient(speech_model),
    output:
        language="results/{tape}/language.json",
    log:
        "logs/detect_language/{tape}.log",
    benchmark:
        "benchmarks/detect_language/{tape}.tsv"
    resources:
        gpu=1,
        expected_s=expected_s,
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        model_sha256=speech_model_sha256,
        settings=section("subtitles"),
        recipe=recipe("detect_language"),
    message:
        "Detecting the language of {wildcards.tape}"
    conda:
        GPU_ENVIRONMENT
    script:
        "../scripts/detect_language.py"


rule transcribe_scene:
    """Recognise the speech of one scene and lay it out as cues. Corrections by hand are kept."""
    input:
        audio="results/{tape}/audio/{scene}.wav",
        model=ancient(speech_model),
        facts=ancient(facts_of_folder),
        language=wait_for_language,
    output:
        srt=update("results/{tape}/subtitles/{scene}.srt"),
        record=update("results/{tape}/subtitles/{scene}.json"),
    log:
        "logs/transcribe_scene/{tape}/{scene}.log",
    benchmark:
        "benchmarks/transcribe_scene/{tape}/{scene}.tsv"
    group:
        in_group("subtitles")
    resources:
        gpu=1,
        expected_s=expected_s,
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        model_sha256=speech_model_sha256,
        language=language,
        frames=of_job(JobParams.frames),
        rate=of_job(JobParams.rate),
        task="transcribe",
        settings=section("subtitles"),
        recipe=recipe("transcribe_scene"),
    message:
        "Transcribing scene {wildcards.scene} of {wildcards.tape}"
    conda:
        GPU_ENVIRONMENT
    script:
        "../scripts/transcribe_scene.py"


use rule transcribe_scene as translate_scene with:
    output:
        srt=update("results/{tape}/translated/{scene}.srt"),
        record=update("results/{tape}/translated/{scene}.json"),
    log:
        "logs/translate_scene/{tape}/{scene}.log",
    benchmark:
        "benchmarks/translate_scene/{tape}/{scene}.tsv"
    params:
        model_sha256=speech_model_sha256,
        language=language,
        frames=of_job(JobParams.frames),
        rate=of_job(JobParams.rate),
        task="translate",
        settings=section("subtitles"),
        recipe=recipe("translate_scene"),
    message:
        "Translating scene {wildcards.scene} of {wildcards.tape} into English"


rule join_subtitles:
    """Join the cues of all scenes, at their times on the tape."""
    input:
        cues=of_each_scene("results/{tape}/subtitles/{scene}.srt"),
        facts="results/{tape}/capture.json",
        # An input from the start; otherwise the vote comes too late for scenes of the scene table.
        language=wait_for_language,
    output:
        srt="results/{tape}/{tape}.srt",
        vtt="results/{tape}/{tape}.vtt",
    log:
        "logs/join_subtitles/{tape}.log",
    benchmark:
        "benchmarks/join_subtitles/{tape}.tsv"
    params:
        spans=of_job(JobParams.spans),
        rate=of_job(JobParams.rate),
        gap_frames=lambda wildcards: section("subtitles")(wildcards)["gap_frames"],
        recipe=recipe("join_subtitles"),
    message:
        "Joining the subtitles of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/join_subtitles.py"


use rule join_subtitles as join_translations with:
    input:
        cues=of_each_scene("results/{tape}/translated/{scene}.srt"),
        facts="results/{tape}/capture.json",
        language=wait_for_language,
    output:
        srt="results/{tape}/{tape}.en.srt",
        vtt="results/{tape}/{tape}.en.vtt",
    log:
        "logs/join_translations/{tape}.log",
    benchmark:
        "benchmarks/join_translations/{tape}.tsv"
    message:
        "Joining the English subtitles of {wildcards.tape}"
