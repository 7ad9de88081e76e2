import random

from tapemill.demo import grammar


def test_there_are_113_words_and_no_other_is_ever_said():
    rng = random.Random(5)
    said = {word for _ in range(3000) for word in grammar.plain_words(grammar.sentence(rng, shuffled=0.2))}
    assert len(grammar.WORDS) == 113
    assert said == set(grammar.WORDS)


def test_one_sentence_in_eight_is_held_out_and_always_the_same_ones():
    rng = random.Random(6)
    texts = {grammar.sentence(rng) for _ in range(6000)}
    share = sum(map(grammar.held_out, texts)) / len(texts)
    assert 0.1 < share < 0.15
    assert grammar.held_out("Merry Christmas Mom.")
    assert grammar.held_out("MERRY christmas mom.")
    assert not grammar.held_out("Merry Christmas Anna.")


def test_sentences_can_be_limited_to_some_templates():
    rng = random.Random(7)
    for _ in range(20):
        assert grammar.sentence(rng, templates=["good night N"]).startswith("Good night ")


def test_voices_and_speeds_for_testing_are_not_trained_on():
    assert not set(grammar.TEST_VARIANTS) & set(grammar.TRAIN_VARIANTS)
    assert not set(grammar.TEST_SPEEDS_WPM) & set(grammar.TRAIN_SPEEDS_WPM)


def test_plain_words_drop_capitals_and_punctuation():
    assert grammar.plain_words("Merry Christmas, Mom!") == ["merry", "christmas", "mom"]
