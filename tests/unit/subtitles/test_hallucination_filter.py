"""Invented text goes and real speech stays, each with the signs that were measured with them (model `base`)."""

import zlib
from dataclasses import replace

import pytest

from tapemill.records.speech import Segment, SpeechRegion, Word
from tapemill.subtitles.hallucination_filter import filter_segments, heard_share, repeated_phrase
from tests.support.media.speech import SETTINGS
from tests.support.project import FIELD

EVERYWHERE = [SpeechRegion(0, 30_000)]
# What whisper has for clear speech, for speech in noise, and for text that it invents over music and in noise.
CLEAR = {"avg_logprob": -0.25, "no_speech_prob": 0.1}
UNCLEAR = {"avg_logprob": -0.65, "no_speech_prob": 0.3}
MUSIC = {"avg_logprob": -0.75, "no_speech_prob": 0.55}
NOISE = {"avg_logprob": -0.45, "no_speech_prob": 0.8}


def segment(text, start_ms=1000, stop_ms=6000, **values):
    data = text.encode()
    given = {"compression_ratio": len(data) / len(zlib.compress(data)), "temperature": 0.0, **CLEAR, **values}
    return Segment(start_ms=start_ms, stop_ms=stop_ms, text=text, **given)


def spoken(text, word_ms=300, **values):
    """A segment with the time of each word."""
    words = text.split()
    timed = tuple(Word(1000 + word_ms * n, 1000 + word_ms * (n + 1), f" {word}", 0.8) for n, word in enumerate(words))
    return segment(text, 1000, 1000 + word_ms * len(words), words=timed, **values)


def reasons(segments, regions=EVERYWHERE, settings=SETTINGS):
    return [reason for _, reason in filter_segments(segments, regions, settings)]


SAID = [
    "Hello Anna.",
    "1984",
    "今日は湖で泳いでいます。",
    "Thank you for watching the kids, Grandma.",
    "The subtitles on this film are too small.",
    "Untertitel brauchen wir nicht, sagt Opa.",
    "Happy birthday to you, happy birthday to you, happy birthday dear Anna, happy birthday to you.",
    "Hip hip hurray! Hip hip hurray! Hip hip hurray!",
    "No, no, no, no, no, no, no! Leave the dog alone.",
    "Papa, Papa, Papa, Papa, Papa, Papa!",
    "Row, row, row your boat, gently down the stream, merrily, merrily, merrily, merrily, life is but a dream.",
    "はははははは",
]


@pytest.mark.parametrize("evidence", [CLEAR, UNCLEAR], ids=["clear", "unclear"])
@pytest.mark.parametrize("text", SAID)
def test_what_somebody_said_stays(text, evidence):
    assert reasons([segment(text, **evidence)]) == [None]
    assert reasons([spoken(text, **evidence)]) == [None]


@pytest.mark.parametrize(
    "text", ["Thank you.", "Thanks for watching!", "Bis zum nächsten Mal.", "Спасибо за просмотр!"]
)
def test_a_phrase_that_models_invent_stays_where_it_was_clearly_said(text):
    assert reasons([segment(text)]) == [None]
    assert "a phrase of other subtitles" in reasons([segment(text, **MUSIC)])[0]


def test_quiet_speech_that_the_detector_does_not_hear_stays_if_it_is_clear_to_the_model():
    assert reasons([segment("And so my fellow Americans", **CLEAR)], []) == [None]
    assert reasons([segment("And so my fellow Americans", **UNCLEAR)], []) == ["outside detected speech"]


INVENTED = [
    *("Thanks for watching!", "Thank you for watching this video.", "Please like and subscribe to our channel."),
    *("Subtitles by Jane Roe", "Captions: The Example Company", "Transcription by CastingWords"),
    *("Untertitel im Auftrag des Senders, 2017", "NDR 2019", "Vielen Dank fürs Zuschauen!"),
    *("Sous-titres réalisés par la communauté", "Merci d'avoir regardé!", "Subtítulos creados por Juan"),
    *("Gracias por ver el video.", "Legendas pela comunidade", "Obrigado por assistir!"),
    *("Sottotitoli a cura di Mario Rossi", "Grazie per aver guardato il video!"),
    *(
        "Ondertiteld door Jan",
        "Bedankt voor het kijken!",
        "Undertexter från Svensktextning",
        "Tack för att ni tittade.",
    ),
    *(
        "Teksting av Nils",
        "Tak fordi du så med.",
        "Kiitos kun katsoit!",
        "Napisy: Jan Kowalski",
        "Dziękuję za oglądanie.",
    ),
    *("Titulky: Jan Novák", "Děkuji za pozornost.", "Felirat: Kovács János", "Köszönöm a figyelmet!"),
    *("Subtitrarea: Ion", "Mulțumesc pentru vizionare!", "Altyazı: Ali", "İzlediğiniz için teşekkür ederim."),
    *("Редактор субтитров А.Петров Корректор Б.Сидорова", "Продолжение следует...", "Дякую за перегляд!"),
    *("Υπότιτλοι: Νίκος", "תודה על הצפייה", "ترجمة: أحمد", "شكرا للمشاهدة", "ممنون که تماشا کردید"),
    *("देखने के लिए धन्यवाद", "Cảm ơn các bạn đã theo dõi.", "Terima kasih telah menonton!", "ขอบคุณที่รับชม"),
    *(
        "中文字幕志愿者 李宗盛",
        "谢谢大家观看",
        "字幕制作:某人",
        "最後までご視聴いただきありがとうございました",
        "チャンネル登録お願いします",
    ),
    *("한글자막 by 누군가", "구독과 좋아요 부탁드립니다.", "KBS 뉴스 김철수입니다."),
]


@pytest.mark.parametrize("text", INVENTED)
def test_what_nobody_said_goes_with_its_signs(text):
    assert reasons([segment(text, **MUSIC)]) != [None]
    assert reasons([segment(text, **NOISE)], []) != [None]


@pytest.mark.skipif(not FIELD.is_dir(), reason="the inputs of the field are not there")
def test_texts_of_the_field():
    lines = {name: (FIELD / f"sound/{name}.txt").read_text().splitlines() for name in ("really_said", "invented")}
    for evidence in (CLEAR, UNCLEAR):
        assert reasons([spoken(text, **evidence) for text in lines["really_said"]]) == [None] * len(
            lines["really_said"]
        )
    for evidence, regions in ((MUSIC, EVERYWHERE), (NOISE, [])):
        assert all(reasons([segment(text, **evidence)], regions) != [None] for text in lines["invented"])


@pytest.mark.parametrize(
    ("doubtful", "expected"),
    [
        (segment("Hello Anna.", no_speech_prob=0.9, avg_logprob=-1.5), "no speech"),
        (segment("Hello Anna.", avg_logprob=-5.0, temperature=1.0), "improbable"),
        (segment("..."), "no words"),
        (segment("♪ ♪"), "no words"),
        (segment(""), "no words"),
        (segment("Untertitel der Amara.org-Community"), "credits"),
        (segment("I said " * 60 + "it."), "the same 2 words 60 times"),
        (spoken("I said " * 9, word_ms=20), "the same 2 words 9 times"),
        # A loop that a model wrote for white noise, and found probable.
        (segment("4" + "-4" * 100, avg_logprob=-0.08, no_speech_prob=0.99), "repetitive"),
    ],
)
def test_the_reason_names_the_signs(doubtful, expected):
    assert expected in reasons([doubtful])[0]


@pytest.mark.parametrize(
    "said",
    [
        segment("Hello Anna.", no_speech_prob=0.9, avg_logprob=-0.3),
        segment("Hello Anna.", no_speech_prob=0.1, avg_logprob=-1.5),
    ],
)
def test_one_sign_alone_is_no_proof(said):
    assert reasons([said]) == [None]


def test_of_a_phrase_said_too_often_in_a_row_the_first_stays():
    row = [segment("Thank you.", 1000 * n, 1000 * n + 900) for n in range(5)]
    found = reasons([segment("Hello."), *row, segment("Hello.", 8000, 9000)])
    assert found == [None, None, *["repeated 5 times in a row, a phrase of other subtitles"] * 4, None]
    assert reasons(row[:4]) == [None] * 4


def test_a_row_of_calls_stays_where_each_is_heard():
    row = [segment("Mama!", 1000 * n, 1000 * n + 600) for n in range(8)]
    assert reasons(row) == [None] * 8
    assert None not in reasons([replace(call, no_speech_prob=0.8, avg_logprob=-0.8) for call in row], [])[1:]


def test_times_are_kept_to_the_speech_they_touch():
    words = (Word(0, 500, " Hello", 0.9), Word(500, 4000, " Anna", 0.9))
    [(kept, reason)] = filter_segments(
        [replace(segment("Hello Anna", 0, 4000), words=words)],
        [SpeechRegion(800, 1500), SpeechRegion(1800, 2600)],
        SETTINGS,
    )
    assert reason is None
    assert (kept.start_ms, kept.stop_ms) == (800, 2600)
    assert [(word.start_ms, word.stop_ms) for word in kept.words] == [(800, 800), (800, 2600)]


def test_share_of_a_segment_in_detected_speech():
    regions = [SpeechRegion(0, 1000), SpeechRegion(2000, 3000)]
    assert heard_share(segment("Hello", 500, 2500), regions) == pytest.approx(0.5)
    assert heard_share(segment("Hello", 500, 500), regions) == 0


def test_repeated_phrases_are_counted():
    assert repeated_phrase("no no no no, stop") == (4, 1)
    assert repeated_phrase("I said it, I said it") == (2, 3)
    assert repeated_phrase("はははは") == (4, 1)
    assert repeated_phrase("Hello Anna") == (1, 0)


def test_thresholds_are_settings():
    unsure = segment("Hello Anna.", no_speech_prob=0.9, avg_logprob=-1.4)
    assert reasons([unsure], settings=replace(SETTINGS, no_speech_threshold=1.0)) == [None]
    assert reasons([unsure], settings=replace(SETTINGS, logprob_threshold=-2.0)) == [None]
    assert reasons([unsure]) != [None]
