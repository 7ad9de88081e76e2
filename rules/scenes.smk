"""
Stage scenes: divide a capture into scenes of at most 30 s, and cut them losslessly.

INPUT    the capture, results/{tape}/capture.json
OUTPUT   results/{tape}/scenes.tsv              the scenes, half-open frame ranges (also as .edl and .csv)
         results/{tape}/scenes/{scene}.mkv      one scene, FFV1 + FLAC, constant rate; temporary, for enhance_scene only

A folder of scene files needs no table: each file is a scene.
"""

cut_file = str if config["disk"]["keep_cuts"] else temp


checkpoint detect_scenes:
    """Detect cuts and fades, split long scenes, merge short ones."""
    input:
        capture=ancient(scene_source),
        facts="results/{tape}/capture.json",
    output:
        table="results/{tape}/scenes.tsv",
        edl="results/{tape}/scenes.edl",
        csv="results/{tape}/scenes.csv",
    log:
        "logs/detect_scenes/{tape}.log",
    benchmark:
        "benchmarks/detect_scenes/{tape}.tsv"
    resources:
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        source=of_job(JobParams.source),
        fingerprint=of_job(JobParams.fingerprint),
        settings=section("scenes"),
        film=of_job(JobParams.film_choice),
        recipe=recipe("detect_scenes"),
    message:
        "Detecting the scenes of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/detect_scenes.py"


rule cut_scene:
    """Cut one scene from the capture, exact to the frame, at a constant rate."""
    input:
        capture=ancient(scene_source),
        facts=ancient(facts_of_folder),
    output:
        clip=cut_file("results/{tape}/scenes/{scene}.mkv"),
    log:
        "logs/cut_scene/{tape}/{scene}.log",
    benchmark:
        "benchmarks/cut_scene/{tape}/{scene}.tsv"
    group:
        in_group("enhance")
    resources:
        # For the scheduler `lanes`: limits the backlog of cuts.
        backlog=1,
        backlog_limit=config["disk"]["cut_backlog"],
        disk_mb=disk_mb_of("cut"),
        mem_mb=CLUSTER_RESOURCES.mem_mb,
        runtime=CLUSTER_RESOURCES.minutes,
    params:
        source=of_job(JobParams.source),
        fingerprint=of_job(JobParams.fingerprint),
        take=of_job(JobParams.take),
        span=of_job(JobParams.cut_in_file),
        picture=of_job(JobParams.picture),
        sound=of_job(JobParams.speech_stream),
        recipe=recipe("cut_scene"),
    message:
        "Cutting scene {wildcards.scene} of {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/cut_scene.py"
