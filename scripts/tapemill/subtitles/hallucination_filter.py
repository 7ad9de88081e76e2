"""Filter of Whisper's hallucinations: text that it writes where nobody speaks.

Each check is a function of one segment that returns the reason to drop it, or None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tapemill.records.speech import Segment, SpeechRegion, Word

from .settings import SubtitlesSettings

LONGEST_PHRASE_WORDS = 12
# Closing credits of the subtitles and videos the large models were trained on. They appear over music and noise; only a
# segment that has no other text is dropped.
CREDITS = re.compile(
    r"""(
        .*\bamara\.org\b.*
        | (sub)?titles?\s(by|created\sby)\b.*
        | untertitel(ung)?\s(von|im\sauftrag|der)\b.*
        | sous-?titr(age|es)\s.*
        | subt[ií]tulos?\s(por|realizados)\b.*
        | thank(s|\syou)\sfor\swatching.*
        | ご視聴ありがとうございました.*
        | 请不吝点赞.*
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def filter_segments(
    segments: Sequence[Segment], regions: Sequence[SpeechRegion], settings: SubtitlesSettings
) -> list[tuple[Segment, str | None]]:
    """Return each segment, its times clipped to detected speech, with the reason to drop it, or None to keep it."""
    filtered: list[tuple[Segment, str | None]] = []
    runs = _runs([_normalised_words(segment.text) for segment in segments])
    for segment, (position, length) in zip(segments, runs, strict=True):
        clipped = clip_to_speech(segment, regions)
        reason = (
            no_words(segment)
            or ("outside detected speech" if clipped is None else None)
            or improbable(segment, settings)
            or repeats_itself(segment, settings)
            or credits_only(segment)
            # The first of a run of equal segments may be real speech.
            or (f"repeated {length} times in a row" if length > settings.repeat_limit and position > 0 else None)
        )
        filtered.append((clipped or segment, reason))
    return filtered


def no_words(segment: Segment) -> str | None:
    """Check for text without a letter or digit: empty, or only punctuation and symbols."""
    return None if any(character.isalnum() for character in segment.text) else "no words"


def improbable(segment: Segment, settings: SubtitlesSettings) -> str | None:
    """Check for text that the recogniser itself finds improbable, at every temperature."""
    if segment.no_speech_prob > settings.no_speech_threshold and segment.avg_logprob < settings.logprob_threshold:
        return f"no speech (probability {segment.no_speech_prob:.2f}, text {segment.avg_logprob:.2f})"
    if segment.compression_ratio > settings.compression_ratio_threshold:
        return f"repetitive (compresses {segment.compression_ratio:.1f} times)"
    return None


def repeats_itself(segment: Segment, settings: SubtitlesSettings) -> str | None:
    """Check for the same words again and again within one segment."""
    words = _normalised_words(segment.text)
    if len(words) == 1:
        # A language without spaces: its characters are what repeats.
        words = tuple(words[0])
    for length in range(1, min(LONGEST_PHRASE_WORDS, len(words) // (settings.repeat_limit + 1)) + 1):
        same = 0
        for position in range(length, len(words)):
            same = same + 1 if words[position] == words[position - length] else 0
            if same >= length * settings.repeat_limit:
                return f"the same {length} words more than {settings.repeat_limit} times"
    return None


def credits_only(segment: Segment) -> str | None:
    """Check for credits that the models learned from subtitle files."""
    return "credits of other subtitles" if CREDITS.fullmatch(segment.text.strip().strip("[]()♪ ")) else None


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
    runs: list[tuple[int, int]] = []
    start = 0
    for position in range(len(texts) + 1):
        if position == len(texts) or texts[position] != texts[start]:
            runs.extend((index, position - start) for index in range(position - start))
            start = position
    return runs
