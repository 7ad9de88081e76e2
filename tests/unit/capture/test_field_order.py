from fractions import Fraction

import pytest

from tapemill.capture.field_order import FieldCounts, count_fields, decide, stated_field_order
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.probe import probe
from tests.support.media.captures import aged, look
from tests.support.project import ROOT

MOVING = "testsrc2=s=360x288:r=50:d=3"
FALLING = "testsrc2=s=360x288:r=50:d=3,scroll=vertical=0.03"
FIELD_INPUTS = ROOT.parent / "shared" / "field" / "picture"


def make(path, filters, source=MOVING, codec=("-c:v", "ffv1")):
    ffmpeg.run(
        ["-f", "lavfi", "-i", source, "-vf", filters, *codec, *ffmpeg.output_args(path, "matroska")],
        concerns=path,
        timeout_s=60,
    )
    return path


def counts_of(path):
    return count_fields(path, probe(path).picture, 0, [Fraction(0), Fraction(1)], 25, timeout_s=60)


@pytest.mark.parametrize("source", [MOVING, FALLING], ids=["moving", "falling"])
@pytest.mark.parametrize("noise", ["null", "noise=alls=15:allf=t"], ids=["clean", "noisy"])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("tinterlace=mode=interleave_top", "tff"),
        ("tinterlace=mode=interleave_bottom", "bff"),
        ("fps=25", "progressive"),
        ("fps=25/2,fps=25", "progressive"),
    ],
    ids=["tff", "bff", "progressive", "repeated"],
)
def test_field_order_is_found_in_the_movement_whatever_the_flags_say(tmp_path, filters, expected, noise, source):
    path = make(tmp_path / "a.mkv", f"{noise},{filters},setfield=prog", source)
    counts = counts_of(path)
    found = decide(counts, None)
    assert sum(each.frames for each in counts) >= 50
    assert found.order == expected
    assert found.confidence >= 0.9
    assert found.notes["found_by"] == "movement"


@pytest.mark.parametrize(
    ("field", "expected"), [("top", "tff"), ("bottom", "bff")], ids=["top field first", "bottom field first"]
)
def test_telecine_and_shifted_film_are_interlaced_in_their_order(tmp_path, field, expected):
    telecined = make(tmp_path / "a.mkv", f"fps=24000/1001,telecine=first_field={field}")
    # The filter delays the other field.
    shifted = make(tmp_path / "b.mkv", f"fps=25,phase={'b' if field == 'top' else 't'}")
    assert [decide(counts_of(path), None).order for path in (telecined, shifted)] == [expected, expected]


@pytest.mark.parametrize(
    ("flags", "expected"), [("tff", "tff"), ("bff", "bff"), ("prog", "progressive")], ids=["tff", "bff", "progressive"]
)
def test_flags_decide_where_nothing_moves(tmp_path, flags, expected):
    still = "testsrc2=s=360x288:r=50:d=3,loop=loop=-1:size=1,trim=duration=2"
    codec = ("-c:v", "mpeg2video", *(("-flags", "+ildct+ilme") if flags != "prog" else ()))
    path = make(tmp_path / "a.mkv", f"fps=25,setfield={flags}", still, codec)
    stated = stated_field_order(probe(path).picture)
    found = decide(counts_of(path), stated)
    assert (stated, found.order, found.notes["found_by"]) == (expected, expected, "flags")
    assert 1 / 3 < found.confidence < 0.9


def test_frames_of_dv_are_marked_interlaced(tmp_path):
    path = tmp_path / "a.avi"
    still = ["-f", "lavfi", "-i", "color=gray:s=720x576:r=25:d=1", "-vf", "setfield=bff"]
    ffmpeg.run([*still, "-c:v", "dvvideo", "-pix_fmt", "yuv420p", f"file:{path}"], concerns=path, timeout_s=60)
    found = look(aged(path), "auto")
    assert found.picture.field_order == "bff"
    assert found.notes["field_order"]["found_by"] == "flags"


def test_flags_of_codecs_without_fields_are_no_evidence_for_progressive(tmp_path):
    path = make(tmp_path / "a.mkv", "fps=25,setfield=prog")
    assert stated_field_order(probe(path).picture) is None


def test_a_tape_of_mostly_progressive_parts_is_interlaced_all_the_same():
    film, video = FieldCounts(progressive=50), FieldCounts(tff=48, bff=1, progressive=1)
    found = decide([film, video, film], None)
    assert (found.order, round(found.confidence, 2)) == ("tff", 0.92)
    assert decide([film] * 9 + [video], None).order == "progressive"
    # A codec that has to know says that there are no fields.
    assert decide([film, video, film], "progressive").order == "progressive"
    assert decide([video, video], "progressive").order == "tff"


def test_the_order_of_most_recordings_is_that_of_the_tape():
    found = decide([FieldCounts(tff=50)] * 2 + [FieldCounts(bff=50)], None)
    assert found.order == "tff"
    assert 0.6 < found.confidence < 0.7


def test_confidence_grows_with_the_frames_and_falls_with_contradiction():
    few, many = decide([FieldCounts(tff=6)], None), decide([FieldCounts(tff=60)], None)
    agreed, against = decide([FieldCounts(tff=60)], "tff"), decide([FieldCounts(tff=60)], "bff")
    assert few.confidence < against.confidence < many.confidence < agreed.confidence < 1
    assert decide([FieldCounts(undetermined=50)], None).confidence == pytest.approx(1 / 3)
    assert decide([], None).notes["found_by"] == "nothing"


@pytest.mark.parametrize(
    ("name", "frames"), [("turned_90_progressive.mp4", 24), ("fast_fall_progressive.avi", None)], ids=["turned", "fall"]
)
def test_progressive_recordings_from_the_field(tmp_path, name, frames):
    if not (FIELD_INPUTS / name).exists():
        pytest.skip("the recordings are not part of the project")
    path = tmp_path / name
    path.write_bytes((FIELD_INPUTS / name).read_bytes())
    found = look(aged(path), "auto")
    assert found.picture.field_order == "progressive"
    assert frames in (None, found.frames)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_fields_of_turned_frames(tmp_path, turn):
    upright = tmp_path / "a.mp4"
    filters, codec = "tinterlace=mode=interleave_top", ("-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct")
    source = ["-f", "lavfi", "-i", "testsrc2=s=720x576:r=50:d=2", "-vf", filters, *codec]
    ffmpeg.run([*source, *ffmpeg.output_args(upright, "mp4")], concerns=upright, timeout_s=60)
    turned = tmp_path / "turned.mp4"
    options = [*ffmpeg.input_args(upright, options=["-display_rotation", str(turn)]), "-c", "copy"]
    ffmpeg.run([*options, *ffmpeg.output_args(turned, "mp4")], concerns=turned, timeout_s=60)
    # Upside down, the bottom lines are the first ones.
    assert look(aged(upright), "auto").picture.field_order == "tff"
    assert look(aged(turned), "auto").picture.field_order == ("bff" if turn == 180 else "progressive")
