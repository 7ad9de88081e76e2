"""
The built-in demo: a tape of which everything is known, a speech model that knows its words, and how well it went.

INPUT    resources/demo/speech.flac, speech.tsv        committed: what is said on the tape
OUTPUT   resources/demo/capture.mkv                    the demo tape, as a capture card writes one
         resources/demo/truth.mkv                      the same moments clean, 50 frames a second
         results/demo/score.json                       word error rate, PSNR and SSIM of the restored tape

Only for those who want to change the demo's speech, its speech model or its restoration network; nothing else asks for
these:
         record_demo_speech, make_speech_corpus,
         train_demo_model, evaluate_demo_model,
         make_restoration_pairs, train_demo_network,
         evaluate_demo_network                         resources/demo/training/
"""


rule make_demo_capture:
    """Draw the demo tape and its truth."""
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
        # 491 MB and 165 MB, and their sound before it is in them.
        disk_mb=680,
    message:
        "Making the demo tape"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/make_demo_capture.py"


rule score_demo:
    """Compare the restored demo tape with its truth and its subtitles with what was said."""
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
    """Speak the demo's sentences with espeak-ng, for somebody to copy over the committed ones."""
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
    """Train the demo's speech model from nothing."""
    input:
        speech="resources/demo/training/train.npz",
    output:
        model="resources/demo/training/demo-en.pt",
    log:
        "logs/train_demo_model/demo.log",
    benchmark:
        "benchmarks/train_demo_model/demo.tsv"
    # One more makes the batches.
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
    """Measure the committed speech model on sentences and voices it was not trained on."""
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
    """Draw pictures, wear them down and filter them: what the restoration network learns from."""
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
        "Drawing and wearing down {params.clips} clips"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/make_restoration_pairs.py"


rule train_demo_network:
    """Train the demo's restoration network from nothing."""
    input:
        pairs="resources/demo/training/pairs.npz",
    output:
        model="resources/demo/training/demo-compact.safetensors",
    log:
        "logs/train_demo_network/demo.log",
    benchmark:
        "benchmarks/train_demo_network/demo.tsv"
    # One is faster: so small a network's work does not divide, and the order of sums, so the last bits, depends on it.
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
    """Measure the committed restoration network on the demo tape against the filters alone."""
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
