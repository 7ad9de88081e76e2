"""Sentences of the demo tape and of its model's training speech: 113 words in 27 templates.

A template's capital letters stand for a word out of a pool, `Y` for a year. Sentences are held out from
training by their text alone (`held_out`); voices and speeds for testing are listed here.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from types import MappingProxyType

NAMES = tuple("Grandma Grandpa Mom Dad Anna Peter Julia Thomas Maria Daniel Emma Martin".split())
MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)  # fmt: skip
SEASONS = tuple("summer winter spring autumn".split())
PLACES = tuple("lake beach garden house mountains school church park zoo farm river".split())
CITIES = tuple("Paris Rome London Berlin Madrid".split())
TENS = tuple("sixty seventy eighty ninety".split())
ONES = tuple("one two three four five six seven eight nine".split())
NUMBERS = (*ONES, "ten", "eleven", "twelve")
DOING = tuple("dancing singing swimming playing skiing cooking laughing sleeping".split())
TEMPLATES = (
    *("happy birthday N", "merry Christmas N", "S Y at the P", "M Y in C", "S Y in C"),
    *("this is N and N at the P", "this is N in C", "look at N", "N is D in the P"),
    *("N and N are D in the P", "N is K years old today", "say hello to N", "here comes N"),
    *("the wedding of N and N", "blow out the candles N", "open the present N"),
    *("wave to the camera N", "we are D at the P with N", "do you remember C in Y"),
    *("do you remember S Y", "come here N and N", "good night N", "our holiday in C in M Y"),
    *("it is M Y", "the first day of school for N", "N loves the P in S", "K candles for N"),
)
POOLS = MappingProxyType(
    {"N": NAMES, "M": MONTHS, "S": SEASONS, "P": PLACES, "C": CITIES, "K": NUMBERS, "D": DOING},
)
LITERAL = {word for template in TEMPLATES for word in template.split() if len(word) > 1}
WORDS = tuple(
    sorted({word.lower() for word in (*LITERAL, *(w for pool in POOLS.values() for w in pool), *TENS, "nineteen")})
)
# Spelling of words that are not all lower case.
FORMS = MappingProxyType({word.lower(): word for word in (*NAMES, *MONTHS, *CITIES, "Christmas")})

# en-us thrice: the commonest accent. Names as espeak-ng lists them.
ACCENTS = (
    *("en-us", "en-us", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd"),
    *("en-us-nyc", "en-029"),
)
TRAIN_VARIANTS = tuple(
    (
        "m1 m2 m4 m5 m6 m7 f1 f3 f4 Alex Alicia Andy Annie Denis Gene Henrique Jacky Mario "
        "Michael Mike adam anika antonio belinda benjamin boris caleb david ed edward "
        "iven2 john linda marcelo michel miguel norbert pablo paul pedro quincy rob robert "
        "sandro shelby steph travis victor zac"
    ).split()
)
TEST_VARIANTS = tuple("m3 m8 f2 f5 Andrea Diogo Hugo Lee Marco aunty max steph3".split())
TRAIN_SPEEDS_WPM = (*range(120, 150), *range(161, 191))
# A gap in the training range, and faster.
TEST_SPEEDS_WPM = (*range(150, 161), *range(192, 201))


def year(rng: random.Random) -> str:
    """A year as it is spoken: "nineteen seventy four"."""
    return f"nineteen {rng.choice(TENS)} {rng.choice(ONES)}"


def sentence(rng: random.Random, *, shuffled: float = 0.0, templates: Sequence[str] = TEMPLATES) -> str:
    """One sentence with a capital and a full stop.

    With probability `shuffled` it is a random sequence of two to six words instead, without grammar.
    """
    if rng.random() < shuffled:
        words = [FORMS.get(word, word) for word in rng.choices(WORDS, k=rng.randint(2, 6))]
    else:
        words = []
        for word in rng.choice(templates).split():
            words += year(rng).split() if word == "Y" else [rng.choice(POOLS[word]) if word in POOLS else word]
    text = " ".join(words)
    return text[0].upper() + text[1:] + "."


def held_out(text: str) -> bool:
    """Whether a sentence is kept for testing: one in eight, by a hash of its words."""
    return hashlib.md5(text.lower().encode(), usedforsecurity=False).digest()[0] % 8 == 0


def plain_words(text: str) -> list[str]:
    """The words of a text, lower case and without punctuation: what word error rates count."""
    return re.sub(r"[^a-z ]", "", text.lower()).split()
