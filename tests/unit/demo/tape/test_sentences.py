import random

from demo.tape import sentences


def test_there_are_113_words_and_no_other_is_ever_said():
    rng = random.Random(5)
    said = {word for _ in range(3000) for word in sentences.plain_words(sentences.sentence(rng, shuffled=0.2))}
    assert len(sentences.WORDS) == 113
    assert said == set(sentences.WORDS)


def test_one_sentence_in_eight_is_held_out_and_always_the_same_ones():
    rng = random.Random(6)
    texts = {sentences.sentence(rng) for _ in range(6000)}
    share = sum(map(sentences.held_out, texts)) / len(texts)
    assert 0.1 < share < 0.15
    assert sentences.held_out("Merry Christmas Mom.")
    assert sentences.held_out("MERRY christmas mom.")
    assert not sentences.held_out("Merry Christmas Anna.")


def test_sentences_can_be_limited_to_some_templates():
    rng = random.Random(7)
    for _ in range(20):
        assert sentences.sentence(rng, templates=["good night N"]).startswith("Good night ")


def test_voices_and_speeds_for_testing_are_not_trained_on():
    assert not set(sentences.TEST_VARIANTS) & set(sentences.TRAIN_VARIANTS)
    assert not set(sentences.TEST_SPEEDS_WPM) & set(sentences.TRAIN_SPEEDS_WPM)


def test_plain_words_drop_capitals_and_punctuation():
    assert sentences.plain_words("Merry Christmas, Mom!") == ["merry", "christmas", "mom"]
