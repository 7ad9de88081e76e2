import json

import pytest

from demo.score import Score, Similarity, format_score, measure_similarity, parse_similarity, score, write_score
from demo.tape import speech, storyboard
from tapemill.core.errors import GateError
from tapemill.core.timing import FrameRange
from tapemill.media.ffmpeg import runner as ffmpeg

SRT = """1
00:00:00,140 --> 00:00:00,300
GOOD NIGHT,
Anna!

2
00:00:00,500 --> 00:00:00,700
Look at Mom.
"""


def video(path, chain, *, rate=50, frames=20, encoder=("-c:v", "ffv1"), pixels="yuv420p"):
    made = ["-f", "lavfi", "-i", f"testsrc2=s=720x576:r={rate}", "-frames:v", str(frames), "-vf", chain]
    arguments = [*made, "-pix_fmt", pixels, *encoder, *ffmpeg.output_args(path, "matroska")]
    ffmpeg.run(arguments, concerns=path, timeout_s=60)
    return path


@pytest.fixture
def material(tmp_path, monkeypatch):
    """A tape of ten frames: a clean truth, a noisy capture woven from it, a restored tape in between."""
    monkeypatch.setattr(storyboard, "FRAMES", 10)
    monkeypatch.setattr(storyboard, "SCENES", (storyboard.DemoScene("garden", FrameRange(0, 10), "garden"),))
    weave = "tinterlace=mode=interleave_top,noise=alls=50:allf=t:all_seed=1"
    square = "noise=alls=12:allf=t:all_seed=2,scale=768:576,crop=768:566:0:0"
    spoken = [
        speech.SpokenSentence("Good night Anna.", 0, 0.2, 3, "en-us+m3", 155),
        speech.SpokenSentence("Look at Dad.", 0.5, 0.7, 12, "en-us+m3", 155),
    ]
    speech.write_table(tmp_path / "speech.tsv", spoken)
    (tmp_path / "tape.srt").write_text(SRT)
    return {
        "truth": video(tmp_path / "truth.mkv", "null"),
        "capture": video(tmp_path / "capture.mkv", weave, frames=10, pixels="yuv422p"),
        "tape": video(tmp_path / "tape.mkv", square),
        "subtitles": tmp_path / "tape.srt",
        "table": tmp_path / "speech.tsv",
    }


def test_words_times_and_pictures_are_measured_against_the_truth(material):
    result = score(**material)
    assert result.words == 6
    assert result.word_error_rate == pytest.approx(1 / 6)
    assert result.cues == 2
    assert result.start_errors_s == pytest.approx((0.02, 0.02))
    assert result.restored.psnr_y_db > result.capture.psnr_y_db > 10
    assert result.restored.ssim_y > result.capture.ssim_y


def test_a_tape_that_lost_frames_is_not_scored(material, tmp_path):
    material["tape"] = video(tmp_path / "short.mkv", "scale=768:576", frames=19)
    with pytest.raises(GateError, match="19 frames"):
        score(**material)


def test_subtitles_without_a_cue_miss_every_word(material):
    material["subtitles"].write_text("")
    result = score(**material)
    assert result.word_error_rate == 1
    assert result.start_errors_s == (float("inf"), float("inf"))


def test_lines_below_the_height_do_not_count(tmp_path):
    clean = video(tmp_path / "clean.mkv", "null", frames=4)
    torn = video(tmp_path / "torn.mkv", "drawbox=y=566:h=10:c=white:t=fill", frames=4)
    prepare = "scale=768:576:flags=lanczos+accurate_rnd+full_chroma_int+bitexact,setsar=1"
    above, whole = (measure_similarity(torn, clean, prepare=prepare, height=height) for height in (556, 576))
    assert above.psnr_y_db == float("inf")
    assert whole.psnr_y_db < 40


def test_a_report_without_figures_is_an_error(tmp_path):
    with pytest.raises(GateError, match="measured nothing"):
        parse_similarity("Conversion failed!", tmp_path)


def test_the_score_is_written_as_json_and_read_by_people(tmp_path):
    like = Similarity(30.123456, 29, 0.8, 0.75)
    result = Score(44, 0.0454545, (0.0123456, -0.2), 11, like, like, like)
    write_score(tmp_path / "score.json", result)
    values = json.loads((tmp_path / "score.json").read_text())
    assert values["restored"]["psnr_y_db"] == 30.1235
    assert values["word_error_rate"] == 0.0455
    assert values["start_errors_s"] == [0.012, -0.2]
    table = format_score(result)
    assert "4.5%" in table
    assert "0.200 s at most" in table
    assert "30.12 dB" in table
