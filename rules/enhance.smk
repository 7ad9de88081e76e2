"""
Stage enhance: restore the video of one scene.

INPUT    results/{tape}/scenes/{scene}.mkv          the lossless cut
         config/scenes.tsv                          settings of single scenes, if there is such a table
         resources/models/*                         the networks of the scene's chain, if it has any
OUTPUT   results/{tape}/encoder.json                encoder of the clips (only if a hardware encoder is requested)
         results/{tape}/enhanced/{scene}.mkv        restored video, no audio; every frame of the cut once (twice with bob)
         results/{tape}/enhanced/{scene}.json       record: filters, networks, encoder, field order
"""


rule choose_encoder:
    """Test a hardware encoder once, so that all clips of the tape use it or its software fallback."""
    input:
        facts="results/{tape}/capture.json",
    output:
        encoder="results/{tape}/encoder.json",
    log:
        "logs/choose_encoder/{tape}.log",
    benchmark:
        "benchmarks/choose_encoder/{tape}.tsv"
    resources:
        gpu=1,
        expected_s=expected_s,
    params:
        picture=of_job(JobParams.picture),
        settings=of_job(JobParams.enhancement),
        recipe=recipe("choose_encoder"),
    message:
        "Testing the encoder for {wildcards.tape}"
    conda:
        GPU_ENVIRONMENT
    script:
        "../scripts/choose_encoder.py"


rule enhance_scene:
    """Deinterlace, clean and encode one scene; clips of a tape are joined without encoding again."""
    input:
        clip="results/{tape}/scenes/{scene}.mkv",
        encoder=ancient(chosen_encoder),
        facts=ancient(facts_of_folder),
        models=ancient(of_job(JobParams.network_files)),
    output:
        clip="results/{tape}/enhanced/{scene}.mkv",
        record="results/{tape}/enhanced/{scene}.json",
    log:
        "logs/enhance_scene/{tape}/{scene}.log",
    benchmark:
        "benchmarks/enhance_scene/{tape}/{scene}.tsv"
    # Before more cuts: each finished clip frees the space of its cut.
    priority: 1
    group:
        in_group("enhance")
    threads: config["enhance"]["encoder_threads"]
    resources:
        gpu=lambda wildcards: int(bool(chosen_encoder(wildcards)) or bool(job_params(wildcards).networks)),
        expected_s=expected_s,
        max_lanes=config["lanes"]["enhance_lanes"] or 0,
        disk_mb=disk_mb_of("clip"),
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        fingerprint=of_job(JobParams.fingerprint),
        cut=of_job(JobParams.cut_in_file),
        frames=of_job(JobParams.cut_frames),
        picture=of_job(JobParams.picture),
        output=of_job(JobParams.output),
        film=of_job(JobParams.film),
        settings=of_job(JobParams.enhancement),
        recipe=recipe("enhance_scene"),
    message:
        "Enhancing scene {wildcards.scene} of {wildcards.tape}"
    conda:
        GPU_ENVIRONMENT
    script:
        "../scripts/enhance_scene.py"
