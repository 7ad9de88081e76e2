"""Speech on a GPU like Intel's Arc A770, which lacks double precision and sparse tensors."""

import json
import pickle
from dataclasses import replace
from fractions import Fraction

import pytest

from tapemill.core.errors import OutOfMemory
from tapemill.devices.device import CPU, Device
from tapemill.devices.memory_planner import ActivationCache
from tapemill.models import ModelFile, read_lock
from tapemill.storage.fingerprint import sha256
from tapemill.subtitles.model_selection import LEAST_ACTIVATION_BYTES, AsrConfig
from tests.support.fakes.strict_gpu import GIB, Refused, apart, inserted
from tests.support.media.speech import LOCK, MODEL, SENTENCES, SETTINGS, recording, silence, write_wav

DEMO = ModelFile(MODEL, read_lock(LOCK)["demo-en"]["sha256"])
ARC = Device("xpu")
WORDS = replace(SETTINGS, word_timestamps=True)


def random_model(path, seed, width=64):
    """A multilingual checkpoint with random weights, which never says more than 24 tokens at a time."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(seed)
    model = Whisper(ModelDimensions(80, 1500, width, 2, 1, 51865, 48, width, 2, 1))
    torch.nn.init.normal_(model.decoder.positional_embedding)
    weights = {name: value.half() for name, value in model.state_dict().items()}
    torch.save({"dims": vars(model.dims), "model_state_dict": weights}, path)
    return ModelFile(path, sha256(path))


def transcribe(folder, model, device, settings=WORDS, smaller=(), name=None, again=False):
    """SRT and record of a scene, on whatever GPU is in this process; with `again` beside those that are there."""
    from tapemill.devices.errors import translate_device_errors
    from tapemill.subtitles import transcribe_scene

    target = folder / (name or device.kind)
    if not again:
        for earlier in (target.with_suffix(".srt"), target.with_suffix(".json")):
            earlier.unlink(missing_ok=True)
    with translate_device_errors(device):
        transcribe_scene(
            audio=folder / "scene.wav",
            model=model,
            srt=target.with_suffix(".srt"),
            record=target.with_suffix(".json"),
            language="en",
            frames=250,
            rate=Fraction(25),
            settings=settings,
            recipe=1,
            device=device,
            smaller=smaller,
        )
    return target.with_suffix(".srt").read_text(), json.loads(target.with_suffix(".json").read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a scene to be heard, and nothing measured yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_wav(tmp_path / "scene.wav", silence(1), recording(), silence(1))
    return tmp_path


def plain_whisper_on_the_gpu():
    """What fails when nothing is done about it, one thing after the other."""
    import whisper

    from tapemill.subtitles import whisper_loader

    said = []
    with inserted():
        model = whisper.load_model(str(MODEL.absolute()), device="cpu")
        try:
            model.to("arc:0")
        except Refused as error:
            said.append(str(error))
        model = whisper.load_model(str(MODEL.absolute()), device="cpu")
        whisper_loader.densify_alignment_heads(model)
        model.to("arc:0")
        try:
            samples = recording().astype("float32") / 32768
            model.transcribe(samples, language="en", word_timestamps=True, fp16=False)
        except Refused as error:
            said.append(str(error))
    return said


def test_plain_whisper_fails_on_such_a_gpu():
    sparse, double = apart(plain_whisper_on_the_gpu)
    assert sparse.startswith("sparse tensors")
    assert double.startswith("double precision")


def what_the_gpu_cannot_do():
    import torch

    said = []
    with inserted():
        ones = torch.ones(3, device="arc:0")
        for asked in (
            ones.double,
            ones.to_sparse,
            lambda: torch.empty(4 * GIB, dtype=torch.uint8, device="arc:0"),
            lambda: ones + torch.ones(3),
            ones.numpy,
        ):
            try:
                said.append(str(asked()))
            except (RuntimeError, TypeError) as error:
                said.append(str(error))
        said.append((ones[ones > 0] * 2 + torch.tensor([1.0, 2.0, 3.0], device=ones.device)).tolist())
    return said


def test_the_gpu_made_of_main_memory_is_as_strict_as_a_real_one():
    double, sparse, large, mixed, numpy, right = apart(what_the_gpu_cannot_do)
    assert "double precision" in double
    assert "sparse" in sparse
    assert "out of memory" in large
    assert "same device" in mixed
    assert "numpy" in numpy
    assert right == [3, 4, 5]


def heard_on_both(folder, model, settings, half):

    on_cpu = transcribe(folder, model, CPU, settings)
    with inserted(half=half) as driver:
        on_gpu = transcribe(folder, model, ARC, settings)
        used, peak = driver.used, driver.peak
    return on_cpu, on_gpu, used, peak


@pytest.mark.parametrize("beam_size", [1, pytest.param(3, marks=pytest.mark.long)])
def test_the_gpu_hears_the_words_and_times_that_the_cpu_hears(folder, beam_size):
    on_cpu, on_gpu, used, peak = apart(heard_on_both, folder, DEMO, replace(WORDS, beam_size=beam_size), False)
    assert on_gpu == on_cpu
    words = [word["text"].strip() for segment in on_gpu[1]["heard"]["segments"] for word in segment["words"]]
    assert words == " ".join(SENTENCES).split()
    # It was there that it was done: the weights still are.
    assert used > 20 << 20
    assert peak > used


@pytest.mark.long
def test_a_model_that_talks_nonsense_says_the_same_on_the_gpu(folder):
    model = random_model(folder / "random.pt", seed=3)
    # Drawn at random, and all of it kept.
    settings = replace(WORDS, temperatures=[0.6], no_speech_threshold=1, compression_ratio_threshold=50)
    on_cpu, on_gpu, *_ = apart(heard_on_both, folder, model, settings, False)
    assert on_gpu == on_cpu
    assert all(segment["words"] for segment in on_gpu[1]["heard"]["segments"])
    assert on_gpu[1]["heard"]["segments"]


@pytest.mark.long
def test_in_half_precision_the_words_are_the_same_and_the_weights_take_half(folder):
    _, _, in_single, _ = apart(heard_on_both, folder, DEMO, WORDS, False)
    on_cpu, on_gpu, in_half, _ = apart(heard_on_both, folder, DEMO, WORDS, True)
    assert on_gpu[0] == on_cpu[0]
    assert 0.45 * in_single < in_half < 0.55 * in_single


BEAM = replace(WORDS, beam_size=3)
DEMO_NO_BEAM = AsrConfig(DEMO, 1, words=True)
MIB = 1 << 20


def attempts(folder, models, free_bytes, driver_tells, steps):
    """What attempts begun so many steps down end with, on a GPU of which others have left so much."""
    from tapemill.devices import model_cache

    asked, *smaller = models
    ends = []
    with inserted(total_bytes=4 * GIB) as driver:
        driver.taken_by_others = 4 * GIB - free_bytes
        if not driver_tells:
            # github.com/pytorch/pytorch/issues/161381
            driver.mem_get_info = lambda: (4 * GIB, 4 * GIB)
        for steps_down in steps:
            try:
                device = Device("xpu", degrade_level=steps_down)
                _, record = transcribe(folder, asked, device, BEAM, smaller, name=f"down{steps_down}")
                ends.append((record.get("lowered"), record["heard"]["segments"][0]["text"]))
            except OutOfMemory as error:
                # As it comes from the worker: without the frames, which hold the model.
                ends.append(pickle.loads(pickle.dumps(error)))
            # Each attempt is made by a new process.
            model_cache.clear()
    return ends


@pytest.fixture
def large(folder):
    """Some 230 MiB in single precision."""
    return random_model(folder / "large.pt", 1, 1024)


@pytest.mark.long
def test_before_loading_the_beam_is_given_up_first(folder):
    free_bytes = DEMO_NO_BEAM.need_bytes(CPU)
    ((lowered, text),) = apart(attempts, folder, [DEMO], free_bytes, True, [0])
    ((plenty, _),) = apart(attempts, folder, [DEMO], 2 * free_bytes, True, [0])
    assert plenty is None
    assert (lowered["model"], lowered["beam_size"]) == ("demo-en", 1)
    (decision,) = lowered["decisions"]
    assert decision["step"] == "demo-en, beam of 3"
    assert decision["need_bytes"] > decision["budget_bytes"] == free_bytes
    assert text == SENTENCES[0]


def test_then_a_smaller_model_takes_over(folder, large):
    ((lowered, text),) = apart(attempts, folder, [large, DEMO], DEMO_NO_BEAM.need_bytes(CPU), True, [0])
    assert (lowered["model"], lowered["model_sha256"], lowered["beam_size"]) == ("demo-en", DEMO.sha256, 1)
    assert [decision["step"] for decision in lowered["decisions"]] == ["large, beam of 3", "large, no beam"]
    assert text == SENTENCES[0]


def test_out_of_memory_after_all_each_attempt_begins_one_step_lower(folder, large):
    *failed, fourth, fifth = apart(attempts, folder, [large, DEMO], 220 * MIB, False, [0, 1, 2, 3, 4])
    assert len(failed) == 3
    for error in failed:
        assert isinstance(error, OutOfMemory)
        assert "XPU out of memory. Tried to allocate" in str(error)
        assert "one step lower" in error.remedy
    for lowered, text in (fourth, fifth):
        assert lowered["model"] == "demo-en"
        assert {decision["reason"] for decision in lowered["decisions"]} == {"an earlier attempt ran out of memory"}
        assert text == SENTENCES[0]


def test_a_record_of_a_lowered_scene_stays_when_only_the_cues_are_laid_out_anew(folder):
    _, before = transcribe(folder, DEMO, Device("cpu", degrade_level=2), BEAM)
    _, after = transcribe(folder, DEMO, CPU, replace(BEAM, line_characters=20), again=True)
    assert before["lowered"]["beam_size"] == 1
    assert after["lowered"] == before["lowered"]
    assert after["heard"] == before["heard"]


def test_a_first_lack_of_memory_is_tried_again_alone_with_the_same_result(folder, caplog):
    other = random_model(folder / "other.pt", seed=5)
    transcribe(folder, other, CPU, BEAM, name="other")
    undisturbed = transcribe(folder, DEMO, CPU, BEAM, name="undisturbed")
    with caplog.at_level("INFO"):
        assert transcribe(folder, DEMO, Device("cpu", degrade_level=1), BEAM, name="again") == undisturbed
    assert "taking demo-en, beam of 3, alone" in caplog.text
    from tapemill.devices import model_cache

    assert model_cache.held_bytes(CPU) == DEMO_NO_BEAM.weights_bytes(CPU)


def test_a_smaller_model_that_is_not_the_pinned_one_is_left_out(folder, large, caplog):
    _, record = transcribe(folder, DEMO, Device("cpu", degrade_level=9), BEAM, [ModelFile(large.path, "0" * 64)])
    assert (record["lowered"]["model"], record["lowered"]["beam_size"]) == ("demo-en", 1)
    assert "not the one that was pinned" in caplog.text
    assert "run `snakemake fetch_models`" in caplog.text


def test_what_a_scene_took_is_measured_and_counted_on_next_time(folder):
    apart(heard_on_both, folder, DEMO, WORDS, False)
    arc = json.loads((folder / "state" / "tapemill" / "activations.json").read_text())
    (on_gpu,) = (peak for key, peak in arc.items() if " xpu " in key)
    # The encoder's attention alone, 4 heads of 1500 by 1500 positions.
    assert on_gpu > 4 * 1500 * 1500 * 4
    assert on_gpu < LEAST_ACTIVATION_BYTES
    assert ActivationCache().bytes_of(DEMO_NO_BEAM.key(CPU)) is not None
