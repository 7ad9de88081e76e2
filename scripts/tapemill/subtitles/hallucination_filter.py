"""Filter of Whisper's hallucinations: text that it writes where nobody speaks.

No sign is a proof. A segment's signs are weighed in a sum of points: those of invented text are positive, those of
speech negative, and it goes if the sum reaches zero. So a phrase that models invent stays where it was clearly said,
and a loop goes although the model finds it probable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tapemill.records.speech import Segment, SpeechRegion, Word

from .invented_phrases import is_courtesy, is_credit
from .settings import SubtitlesSettings

LONGEST_PHRASE_WORDS = 12
# Before any sign: far more of what Whisper writes was said than not.
PRIOR = -2.0
# Text in which Whisper believes and where it hears speech. Values of real speech with the model `base`: mean log
# probability -0.15 to -0.5, probability of no speech below 0.25, also for whispering and under hum.
SURE_LOGPROB, SURE_NO_SPEECH, SURE_POINTS = -0.5, 0.3, -0.5
# Text that no reading made probable is noise, whatever else there is.
FLOOR_LOGPROB = -2.0
UNHEARD_POINTS, LITTLE_HEARD_POINTS, LITTLE_HEARD = 2.0, 1.0, 0.3
CREDIT_POINTS, COURTESY_POINTS = 6.0, 2.0
REPETITIVE_POINTS, LOOP_POINTS, RUN_POINTS = 1.0, 4.0, 1.0
# Of a phrase that people say: a family ends with it once.
COURTESY_RUN_POINTS = 3.0
# Nobody says the same more often in one breath. A loop fills the window: 224 tokens.
MOST_REPEATS = 20
# So repetitive, in multiples of the threshold, are loops only: 17 on white noise, probable (-0.08) to the model.
VERY_REPETITIVE = 3.0
# A word takes longer to say. Loops are longer than the sound, so their words get no time.
SHORTEST_WORD_MS = 60
# Share of such words that real speech does not have.
MOST_SQUEEZED = 0.3
# Without word times: nobody speaks faster.
FASTEST_CHARACTERS_PER_S = 40.0


@dataclass(frozen=True)
class _Sign:
    """One observation on a segment."""

    points: float
    """Positive for invented text, negative for speech."""
    reason: str


def filter_segments(
    segments: Sequence[Segment], regions: Sequence[SpeechRegion], settings: SubtitlesSettings
) -> list[tuple[Segment, str | None]]:
    """Return each segment, its times clipped to detected speech, with the reason to drop it, or None to keep it."""
    filtered: list[tuple[Segment, str | None]] = []
    runs = _runs([_normalised_words(segment.text) for segment in segments])
    for segment, (position, length) in zip(segments, runs, strict=True):
        clipped = clip_to_speech(segment, regions) or segment
        # The first of a run of equal segments may be real speech.
        in_row = length if position > 0 else 1
        filtered.append((clipped, no_words(segment) or _reason_to_drop(segment, regions, in_row, settings)))
    return filtered


def no_words(segment: Segment) -> str | None:
    """Check for text without a letter or digit: empty, or only punctuation and symbols."""
    return None if any(character.isalnum() for character in segment.text) else "no words"


def _reason_to_drop(
    segment: Segment, regions: Sequence[SpeechRegion], in_row: int, settings: SubtitlesSettings
) -> str | None:
    """Weigh the signs; the reason names those against the text, the strongest first."""
    signs = [
        *_recogniser(segment, settings),
        *_heard(segment, regions),
        *_phrase(segment),
        *_repetition(segment, settings),
        *_row(segment, in_row, settings),
    ]
    if PRIOR + sum(sign.points for sign in signs) < 0:
        return None
    against = sorted((sign for sign in signs if sign.points > 0), key=lambda sign: -sign.points)
    return ", ".join(sign.reason for sign in against)


def _recogniser(segment: Segment, settings: SubtitlesSettings) -> Iterator[_Sign]:
    """What the recogniser itself thinks of its text."""
    logprob, no_speech = segment.avg_logprob, segment.no_speech_prob
    if logprob < FLOOR_LOGPROB:
        yield _Sign(LOOP_POINTS, f"improbable ({logprob:.2f})")
    elif logprob > SURE_LOGPROB and no_speech < SURE_NO_SPEECH:
        yield _Sign(SURE_POINTS, "sure")
    else:
        # 0.6 points at the threshold of -1.0, from which on a reading is not trusted.
        yield _Sign(min(max(0.3 + settings.logprob_threshold - logprob, 0.0) * 2, 2.5), f"improbable ({logprob:.2f})")
    # 1.6 points at 0.9 with the threshold of 0.6.
    over = (no_speech - settings.no_speech_threshold + 0.1) / (1.1 - settings.no_speech_threshold)
    if over > 0:
        yield _Sign(2 * over, f"no speech (probability {no_speech:.2f})")
    if segment.temperature >= 0.8:
        yield _Sign(1.0, "guessed at random")


def _heard(segment: Segment, regions: Sequence[SpeechRegion]) -> Iterator[_Sign]:
    """Whether the detector hears speech there. It misses whispering and speech under hum."""
    share = heard_share(segment, regions)
    if share == 0:
        yield _Sign(UNHEARD_POINTS, "outside detected speech")
    elif share < LITTLE_HEARD:
        yield _Sign(LITTLE_HEARD_POINTS, "hardly any detected speech")


def heard_share(segment: Segment, regions: Sequence[SpeechRegion]) -> float:
    """Share of the segment's time that lies in detected speech, 0 to 1."""
    heard_ms = sum(
        max(0, min(region.stop_ms, segment.stop_ms) - max(region.start_ms, segment.start_ms)) for region in regions
    )
    return heard_ms / max(segment.stop_ms - segment.start_ms, 1)


def _phrase(segment: Segment) -> Iterator[_Sign]:
    if is_credit(segment.text):
        yield _Sign(CREDIT_POINTS, "credits of other subtitles")
    elif is_courtesy(segment.text):
        yield _Sign(COURTESY_POINTS, "a phrase of other subtitles")


def _repetition(segment: Segment, settings: SubtitlesSettings) -> Iterator[_Sign]:
    """Whether the text repeats itself, and whether the sound has the time for that."""
    over = segment.compression_ratio / settings.compression_ratio_threshold
    if over > 1:
        points = LOOP_POINTS if over > VERY_REPETITIVE else REPETITIVE_POINTS
        yield _Sign(points, f"repetitive (compresses {segment.compression_ratio:.1f} times)")
    repeats, words = repeated_phrase(segment.text)
    if repeats <= settings.repeat_limit:
        return
    if repeats > MOST_REPEATS or _is_squeezed(segment):
        yield _Sign(LOOP_POINTS, f"the same {words} words {repeats} times")
    else:
        yield _Sign(REPETITIVE_POINTS / 2, f"the same {words} words {repeats} times")


def repeated_phrase(text: str) -> tuple[int, int]:
    """Return how many times in a row the text has the same phrase, and its length in words."""
    words = _normalised_words(text)
    if len(words) == 1:
        # A language without spaces: its characters are what repeats.
        words = tuple(words[0])
    best = (1, 0)
    for length in range(1, min(LONGEST_PHRASE_WORDS, len(words) // 2) + 1):
        same = 0
        for before, word in zip(words, words[length:], strict=False):
            same = same + 1 if word == before else 0
            best = max(best, (1 + same // length, length), key=lambda found: found[0])
    return best


def _is_squeezed(segment: Segment) -> bool:
    """Whether there is more text than the sound has time for."""
    if segment.words:
        squeezed = sum(word.stop_ms - word.start_ms < SHORTEST_WORD_MS for word in segment.words)
        return squeezed > MOST_SQUEEZED * len(segment.words)
    characters = sum(character.isalnum() for character in segment.text)
    return characters * 1000 > FASTEST_CHARACTERS_PER_S * (segment.stop_ms - segment.start_ms)


def _row(segment: Segment, in_row: int, settings: SubtitlesSettings) -> Iterator[_Sign]:
    """Whether the same segment comes again and again."""
    if in_row <= settings.repeat_limit:
        return
    loop = in_row > MOST_REPEATS or _is_squeezed(segment)
    points = LOOP_POINTS if loop else COURTESY_RUN_POINTS if is_courtesy(segment.text) else RUN_POINTS
    yield _Sign(points, f"repeated {in_row} times in a row")


def clip_to_speech(segment: Segment, regions: Sequence[SpeechRegion]) -> Segment | None:
    """Clip a segment's times, and those of its words, to the speech it overlaps. None if it overlaps none."""
    overlapping = [
        region for region in regions if region.start_ms < segment.stop_ms and segment.start_ms < region.stop_ms
    ]
    if not overlapping:
        return None
    start = max(segment.start_ms, overlapping[0].start_ms)
    stop = min(segment.stop_ms, overlapping[-1].stop_ms)
    return replace(segment, start_ms=start, stop_ms=stop, words=tuple(_clip_words(segment.words, start, stop)))


def _clip_words(words: Sequence[Word], start_ms: int, stop_ms: int) -> list[Word]:
    return [
        replace(
            word, start_ms=min(max(word.start_ms, start_ms), stop_ms), stop_ms=max(min(word.stop_ms, stop_ms), start_ms)
        )
        for word in words
    ]


def _normalised_words(text: str) -> tuple[str, ...]:
    """The words without case and punctuation."""
    return tuple("".join(c if c.isalnum() or c == "'" else " " for c in text.casefold()).split())


def _runs(texts: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    """For each text its index in a run of equal ones, and the length of that run."""
    edges = [0, *(at for at in range(1, len(texts)) if texts[at] != texts[at - 1]), len(texts)]
    return [(index, stop - start) for start, stop in pairwise(edges) for index in range(stop - start)]
