"""
Stage enhance: restore the picture of one scene.

INPUT    results/{tape}/scenes/{scene}.mkv          the lossless cut
OUTPUT   results/{tape}/enhanced/{scene}.mkv        restored picture, no sound; every frame of the cut once (twice with bob)
         results/{tape}/enhanced/{scene}.json       what was done: filters, encoder, field order of the scene
"""


rule enhance_scene:
    """Deinterlace, clean and encode one scene; all clips of a tape join without encoding again."""
    input:
        clip="results/{tape}/scenes/{scene}.mkv",
        facts=ancient(ready_facts),
    output:
        clip="results/{tape}/enhanced/{scene}.mkv",
        record="results/{tape}/enhanced/{scene}.json",
    log:
        "logs/enhance_scene/{tape}/{scene}.log",
    benchmark:
        "benchmarks/enhance_scene/{tape}/{scene}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: config["enhance"]["encoder_threads"]
    resources:
        gpu=enhance_gpus(config["enhance"]),
    params:
        fingerprint=scene_fingerprint,
        cut=span_in_file,
        frames=frames,
        picture=picture,
        settings=config["enhance"],
        recipe=[RECIPE["scenes"], RECIPE["enhance"]],
    message:
        "Enhancing scene {wildcards.scene} of {wildcards.tape}"
    script:
        "../scripts/enhance_scene.py"
