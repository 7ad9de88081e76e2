import numpy as np
import pytest

from demo.training import evaluate_asr, train_asr, training_windows, whisper_small_vocab
from demo.training.espeak import SAMPLE_RATE_HZ, Utterance, Word
from demo.training.speech_corpus import Layout, Placed
from demo.training.training_windows import BatchPlan, Windows

TEXTS = ("Good night Anna.", "Merry Christmas Mom.", "Look at Dad.", "It is May nineteen sixty one.")


def utterance(text, pitch_hz):
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    audio = (20_000 * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.int16)
    names = text.rstrip(".").split()
    words = tuple(Word(name, i / len(names), (i + 1) / len(names)) for i, name in enumerate(names))
    return Utterance(text, audio, words, "en-us+m3", 155)


@pytest.fixture
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def utterances():
    # Windows draw up to twelve different ones.
    return [utterance(TEXTS[i % 4], 200 + 40 * i) for i in range(12)]


def test_the_same_seed_gives_the_same_windows(utterances):
    import torch

    plans = [BatchPlan(300, 2), BatchPlan(training_windows.FRAMES, 1)]
    streams = [iter(Windows(utterances, plans, seed=3)) for _ in (0, 1)]
    for _ in range(3):
        one, other = (next(stream) for stream in streams)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_windows_have_the_shapes_of_their_plan(utterances):
    batch = next(iter(Windows(utterances, [BatchPlan(300, 3)], seed=1)))
    assert tuple(batch["mel"].shape) == (3, whisper_small_vocab.MEL_BANDS, 600)
    assert tuple(batch["words"].shape) == (3, 300)
    assert batch["given"].shape == batch["wanted"].shape == batch["mask"].shape


def test_text_tokens_carry_the_frames_of_their_words():
    known = whisper_small_vocab.tokens()
    spoken = training_windows.spoken_tokens(utterance("Look at Dad.", 300), 2.0, 10, known)
    text = known.tokenizer.decode([known.used[item.token] for item in spoken])
    assert text == " Look at Dad."
    assert spoken[0].first == 2.0 * 50 + 10
    assert spoken[-1].last == pytest.approx(3.0 * 50 + 10)


def test_a_few_steps_lower_the_loss(one_thread, utterances):
    learner = train_asr.Learner(learning_rate=1.5e-3)
    batch = next(iter(Windows(utterances, [BatchPlan(300, 4)], seed=2)))
    first = learner.loss(batch)[1]["loss"]
    for _ in range(12):
        learner.step(batch, progress=0)
    assert learner.loss(batch)[1]["loss"] < 0.8 * first
    assert learner.steps == 12


def test_an_exported_model_loads_and_never_says_a_word_it_does_not_know(one_thread, tmp_path):
    import torch
    import whisper

    learner = train_asr.Learner(learning_rate=1e-3)
    whisper_small_vocab.export(learner.network, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").stat().st_size < 4_000_000
    model = whisper.load_model(str(tmp_path / "model.pt"), device="cpu")
    assert not model.is_multilingual
    with torch.no_grad():
        logits = model(torch.zeros(1, 80, 3000), torch.tensor([[model.dims.n_vocab - 1]]))[0, -1]
    used = list(whisper_small_vocab.tokens().used)
    unused = torch.ones(model.dims.n_vocab, dtype=torch.bool)
    unused[used] = False
    assert logits[unused].max() < logits[used].min()


def test_training_for_a_moment_writes_a_model_and_nothing_else(one_thread, tmp_path, utterances):
    from demo.training import speech_corpus

    speech_corpus.save(tmp_path / "train.npz", utterances)
    schedule = (train_asr.Stage((BatchPlan(100, 2),), 1.0),)
    settings = train_asr.TrainingSettings(minutes=0.05, schedule=schedule)
    train_asr.train_model(speech=tmp_path / "train.npz", model=tmp_path / "out" / "model.pt", settings=settings)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.pt"]


def test_a_tally_counts_words_and_times():
    placed = [Placed(1.0, 2.0, utterance("Good night Anna.", 300))]
    segment = {"start": 0.0, "end": 2.1, "seek": 0, "temperature": 0.0, "text": " Good night Emma."}
    tally = evaluate_asr.Tally()
    tally.add(placed, {"segments": [{**segment, "tokens": [evaluate_asr.FIRST_TIME_TOKEN + 51]}]})
    tally.taken_s, tally.sound_s = 1.0, 4.0
    figures = tally.summary()
    assert figures["word_error_rate"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["clips_exact"] == 0
    assert figures["start_errors_s_median"] == 1.0
    assert figures["token_start_errors_s_median"] == pytest.approx(0.02)
    assert figures["stop_errors_s_median"] == pytest.approx(0.1)


def test_text_where_nobody_speaks_is_counted_as_false():
    tally = evaluate_asr.Tally()
    tally.taken_s, tally.sound_s = 1.0, 4.0
    tally.add([], {"segments": []})
    tally.add([], {"segments": [{"text": " Mom.", "temperature": 0.4}]})
    assert tally.summary() == {
        "clips": 2,
        "fallbacks": 1,
        "clips_with_false_text": 1,
        "time_per_second_of_sound": 0.25,
    }


def test_trials_give_every_model_the_same_clips():
    class Parrot:
        def __init__(self):
            self.heard = []

        def transcribe(self, audio, **options):
            assert options["condition_on_previous_text"] is False
            self.heard.append(audio)
            return {"segments": []}

    pool = [utterance(text, 300) for text in TEXTS]
    trial = evaluate_asr.Trial("two", 2, 2, Layout(6))
    parrots = [Parrot(), Parrot()]
    for parrot in parrots:
        tally = evaluate_asr.run_trial(parrot, pool, trial, clips=3)
        assert tally.summary()["word_error_rate"] == 1
    assert all(np.array_equal(one, other) for one, other in zip(*(p.heard for p in parrots), strict=True))
