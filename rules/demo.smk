"""
Built-in demo: a synthetic tape with a known original, a speech model for its words, and the score.

INPUT    resources/demo/speech.flac, speech.tsv        committed: the speech on the tape
OUTPUT   resources/demo/capture.mkv                    the demo tape, as a capture card writes one
         resources/demo/truth.mkv                      its original, 50 frames a second
         results/demo/score.json                       word error rate, PSNR and SSIM of the restored tape

Only for changes of the demo's speech, its speech model or its restoration network; no other rule uses these:
         record_demo_speech, make_speech_corpus,
         train_demo_model, evaluate_demo_model,
         make_restoration_pairs, train_demo_network,
         evaluate_demo_network                         resources/demo/training/
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


rule record_demo_speech:
    """Record the demo's sentences with espeak-ng; copy them over the committed ones by hand."""
    output:
        recording="resources/demo/training/speech.flac",
        table="resources/demo/training/speech.tsv",
    log:
        "logs/record_demo_speech/demo.log",
    benchmark:
        "benchmarks/record_demo_speech/demo.tsv"
    threads: 1
    message:
        "Recording the demo's speech"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/record_demo_speech.py"


rule make_speech_corpus:
    """Synthesise the sentences that the demo model is trained and tested on."""
    output:
        train="resources/demo/training/train.npz",
        test="resources/demo/training/test.npz",
    log:
        "logs/make_speech_corpus/demo.log",
    benchmark:
        "benchmarks/make_speech_corpus/demo.tsv"
    threads: 1
    message:
        "Synthesising five hours of speech"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/make_speech_corpus.py"


rule train_demo_model:
    """Train the demo's speech model from scratch."""
    input:
        speech="resources/demo/training/train.npz",
    output:
        model="resources/demo/training/demo-en.pt",
    log:
        "logs/train_demo_model/demo.log",
    benchmark:
        "benchmarks/train_demo_model/demo.tsv"
    # Another thread makes the batches.
    threads: 1
    params:
        minutes=60,
    message:
        "Training the demo's speech model for {params.minutes} minutes"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/train_demo_model.py"


rule evaluate_demo_model:
    """Measure the committed speech model on held-out sentences and voices."""
    input:
        model="resources/models/demo-en.pt",
        speech="resources/demo/training/test.npz",
    output:
        report="resources/demo/training/evaluation.json",
    log:
        "logs/evaluate_demo_model/demo.log",
    benchmark:
        "benchmarks/evaluate_demo_model/demo.tsv"
    threads: 1
    params:
        clips=60,
    message:
        "Measuring the demo's speech model on {params.clips} clips a trial"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/evaluate_demo_model.py"


rule make_restoration_pairs:
    """Make training pairs of the restoration network: draw clips, degrade them, filter them."""
    output:
        pairs="resources/demo/training/pairs.npz",
    log:
        "logs/make_restoration_pairs/demo.log",
    benchmark:
        "benchmarks/make_restoration_pairs/demo.tsv"
    threads: 2
    params:
        clips=120,
        seed=1,
    message:
        "Drawing and degrading {params.clips} clips"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/make_restoration_pairs.py"


rule train_demo_network:
    """Train the demo's restoration network from scratch."""
    input:
        pairs="resources/demo/training/pairs.npz",
    output:
        model="resources/demo/training/demo-compact.safetensors",
    log:
        "logs/train_demo_network/demo.log",
    benchmark:
        "benchmarks/train_demo_network/demo.tsv"
    # One thread is faster for so small a network. The number of threads changes the order of sums and so the last bits.
    threads: 1
    params:
        features=16,
        convs=2,
        steps=7000,
        seed=0,
    message:
        "Training the demo's restoration network for {params.steps} steps"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/train_demo_network.py"


rule evaluate_demo_network:
    """Measure the committed restoration network on the demo tape, compared with the filters only."""
    input:
        model="resources/models/demo-compact.safetensors",
        capture="resources/demo/capture.mkv",
        truth="resources/demo/truth.mkv",
    output:
        report="resources/demo/training/restoration.json",
    log:
        "logs/evaluate_demo_network/demo.log",
    benchmark:
        "benchmarks/evaluate_demo_network/demo.tsv"
    threads: 2
    message:
        "Measuring the demo's restoration network"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/evaluate_demo_network.py"
