"""
Built-in demo: a synthetic tape with a known original, a speech model for its words, and the score.

INPUT    resources/demo/speech.flac, speech.tsv        committed: the speech on the tape
OUTPUT   resources/demo/capture.mkv                    the demo tape, as a capture card writes one
         resources/demo/truth.mkv                      its original, 50 frames a second
         results/demo/score.json                       word error rate, PSNR and SSIM of the restored tape

The recipes of its models are in demo/training/ (`make demo-models`).
"""


rule make_demo_capture:
    """Make the demo tape and its original."""
    input:
        recording="resources/demo/speech.flac",
        table="resources/demo/speech.tsv",
    output:
        capture="resources/demo/capture.mkv",
        truth="resources/demo/truth.mkv",
    log:
        "logs/make_demo_capture/demo.log",
    benchmark:
        "benchmarks/make_demo_capture/demo.tsv"
    threads: 2
    resources:
        # 491 MB and 165 MB, and temporary audio files.
        disk_mb=680,
    message:
        "Making the demo tape"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/make_demo_capture.py"


rule score_demo:
    """Compare the restored demo tape with its original, and its subtitles with the spoken text."""
    input:
        tape="results/demo/demo.mkv",
        subtitles="results/demo/demo.srt",
        capture="resources/demo/capture.mkv",
        truth="resources/demo/truth.mkv",
        table="resources/demo/speech.tsv",
    output:
        score="results/demo/score.json",
    log:
        "logs/score_demo/demo.log",
    benchmark:
        "benchmarks/score_demo/demo.tsv"
    threads: 2
    message:
        "Scoring the restored demo tape"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/score_demo.py"
