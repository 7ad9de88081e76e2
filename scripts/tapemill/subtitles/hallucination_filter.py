"""What Whisper writes when nobody said anything, told from what somebody said.

Each guard is a function of one segment and its surroundings that returns the reason to leave it out, or None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .segments import Segment, SpeechRegion, Word
from .settings import SubtitlesSettings

LONGEST_PHRASE_WORDS = 12
# Closing credits of the subtitles and videos the large models were trained on. They appear over music and noise; only a
# segment that says nothing else is left out.
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
    """Each segment, its times kept to detected speech, with the reason why it is left out, or None if it stays."""
    judged: list[tuple[Segment, str | None]] = []
    runs = _runs([_spoken(segment.text) for segment in segments])
    for segment, (position, length) in zip(segments, runs, strict=True):
        kept = clip_to_speech(segment, regions)
        reason = (
            no_words(segment)
            or ("outside detected speech" if kept is None else None)
            or improbable(segment, settings)
            or repeats_itself(segment, settings)
            or credits_only(segment)
            # The first of a row of equals may have been said.
            or (f"said {length} times in a row" if length > settings.repeat_limit and position > 0 else None)
        )
        judged.append((kept or segment, reason))
    return judged


def no_words(segment: Segment) -> str | None:
    """Nothing, or nothing but punctuation and symbols."""
    return None if any(character.isalnum() for character in segment.text) else "no words"


def improbable(segment: Segment, settings: SubtitlesSettings) -> str | None:
    """The recogniser itself did not believe in it, at any temperature."""
    if segment.no_speech_prob > settings.no_speech_threshold and segment.avg_logprob < settings.logprob_threshold:
        return f"no speech (probability {segment.no_speech_prob:.2f}, text {segment.avg_logprob:.2f})"
    if segment.compression_ratio > settings.compression_ratio_threshold:
        return f"repetitive (compresses {segment.compression_ratio:.1f} times)"
    return None


def repeats_itself(segment: Segment, settings: SubtitlesSettings) -> str | None:
    """The same words again and again within one segment."""
    words = _spoken(segment.text)
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
    """Credits that the models learned from subtitle files."""
    return "credits of other subtitles" if CREDITS.fullmatch(segment.text.strip().strip("[]()♪ ")) else None


def clip_to_speech(segment: Segment, regions: Sequence[SpeechRegion]) -> Segment | None:
    """The segment with its times, and those of its words, kept to the speech it touches; None if it touches none."""
    touched = [region for region in regions if region.start_ms < segment.stop_ms and segment.start_ms < region.stop_ms]
    if not touched:
        return None
    start = max(segment.start_ms, touched[0].start_ms)
    stop = min(segment.stop_ms, touched[-1].stop_ms)
    return replace(segment, start_ms=start, stop_ms=stop, words=tuple(_within(segment.words, start, stop)))


def _within(words: Sequence[Word], start_ms: int, stop_ms: int) -> list[Word]:
    return [
        replace(
            word, start_ms=min(max(word.start_ms, start_ms), stop_ms), stop_ms=max(min(word.stop_ms, stop_ms), start_ms)
        )
        for word in words
    ]


def _spoken(text: str) -> tuple[str, ...]:
    """The words without case and punctuation."""
    return tuple("".join(c if c.isalnum() or c == "'" else " " for c in text.casefold()).split())


def _runs(texts: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    """For each text its place in a row of equal ones, and the length of that row."""
    runs: list[tuple[int, int]] = []
    start = 0
    for position in range(len(texts) + 1):
        if position == len(texts) or texts[position] != texts[start]:
            runs.extend((place, position - start) for place in range(position - start))
            start = position
    return runs
