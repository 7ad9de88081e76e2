"""
Stage tape: put everything together.

INPUT    results/{tape}/enhanced/{scene}.mkv, results/{tape}/sound.mka, results/{tape}/{tape}.srt
OUTPUT   results/{tape}/{tape}.mkv     the restored tape: picture, sound, subtitles, chapters, title, how it was made
                                       (.mp4 if the setting tape.container asks for it)
"""


rule mux_tape:
    """Join the clips without encoding again, add sound, subtitles and chapters, and check every frame's time."""
    input:
        clips=of_each_scene("results/{tape}/enhanced/{scene}.mkv"),
        sound="results/{tape}/sound.mka",
        subtitles=lambda wildcards: list(subtitle_tracks(wildcards)),
        facts="results/{tape}/capture.json",
        # Not read, but its fingerprint stands in the tape.
        capture=ancient(source_files),
    output:
        tape=f"results/{{tape}}/{{tape}}.{config['tape']['container']}",
    log:
        "logs/mux_tape/{tape}.log",
    benchmark:
        "benchmarks/mux_tape/{tape}.tsv"
    resources:
        writes_mb=writes("tape"),
    params:
        spans=known("enhanced_spans"),
        rate=known("enhanced_rate"),
        title=from_sheet("title"),
        date=from_sheet("date"),
        language=language,
        subtitles=subtitle_tracks,
        tags=made_with,
        settings=config["tape"],
        recipe=RECIPE["tape"],
    message:
        "Putting together {wildcards.tape}"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/mux_tape.py"
