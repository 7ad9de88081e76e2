"""
Names for rules of the stages subtitles and tape: speech model, language, subtitle tracks. No rules.

INPUT    the sheet, the config, results/{tape}/language.json
OUTPUT   none
"""


def speech_model(wildcards):
    """File of the Whisper model. A finished tape goes without it, until a job has to read it."""
    file = SETTINGS.of_tape(wildcards.tape).speech_model.path
    if file.is_file():
        return str(file)
    if TAPES[wildcards.tape].is_finished:
        return []
    raise WorkflowError(f"the speech model is missing: {file}\n  what to do: run `snakemake fetch_models` once")


def speech_model_sha256(wildcards):
    return SETTINGS.of_tape(wildcards.tape).speech_model.sha256


def speech_model_file(wildcards):
    """Path and hash of the Whisper model."""
    model = SETTINGS.of_tape(wildcards.tape).speech_model
    return [str(model.path), model.sha256]


def language(wildcards):
    """Language of the tape: from the sheet, or by vote of its scenes. Called in every plan, which finds a missing model."""
    speech_model(wildcards)
    stated = TAPES[wildcards.tape].row.language
    if stated != "auto":
        return stated
    return read_language(Path(checkpoints.detect_language.get(tape=wildcards.tape).output.language))


def subtitle_tracks(wildcards):
    """Language and title of each subtitle file. English speech needs no translation."""
    spoken, start = language(wildcards), f"results/{wildcards.tape}/{wildcards.tape}"
    foreign = section("subtitles")(wildcards)["translate"] and spoken not in (None, "en")
    return {f"{start}.srt": [spoken or "", ""]} | ({f"{start}.en.srt": ["en", "English"]} if foreign else {})


def wait_for_language(wildcards):
    """No file: only waits for the vote, if there is one. A new vote with the same result transcribes nothing again."""
    language(wildcards)
    return []


def language_samples(wildcards):
    """Audio of some scenes, spread over the tape: enough to detect its language."""
    ids = evenly_spaced(scene_ids(wildcards.tape), section("subtitles")(wildcards)["language_scenes"])
    return [f"results/{wildcards.tape}/audio/{id}.wav" for id in ids]
