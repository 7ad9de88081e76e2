"""Dataclasses to and from JSON values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.core.errors import InputError
from tapemill.storage.typed_json import (
    Constraint,
    JsonRecord,
    RecordError,
    optional,
    optional_mapping,
    read_record,
    unknown_keys,
)


@dataclass(frozen=True)
class Inner:
    rate: Fraction
    name: str | None = None


@dataclass(frozen=True)
class Outer(JsonRecord):
    count: int
    share: float
    kind: Literal["file", "folder"]
    parts: tuple[Inner, ...]
    span: tuple[int, int] | None
    by_name: Mapping[str, Inner]
    anything: Any
    note: str | None = optional()
    unknown: Mapping[str, Any] = unknown_keys()

    written_properties = ("total",)

    @property
    def total(self) -> int:
        return self.count + len(self.parts)


INNER = st.builds(Inner, st.fractions(), st.none() | st.text())
OUTER = st.builds(
    Outer,
    count=st.integers(),
    share=st.floats(allow_nan=False) | st.integers(),
    kind=st.sampled_from(["file", "folder"]),
    parts=st.lists(INNER).map(tuple),
    span=st.none() | st.tuples(st.integers(), st.integers()),
    by_name=st.dictionaries(st.text(), INNER),
    anything=st.none() | st.booleans() | st.lists(st.integers()),
    note=st.none() | st.text(),
    unknown=st.dictionaries(st.sampled_from(["later", "other"]), st.integers()),
)
VALUES = {
    **{"count": 1, "share": 0.5, "kind": "file", "parts": [{"rate": "25/1", "name": None}], "span": [1, 2]},
    **{"by_name": {"a": {"rate": "30000/1001", "name": "b"}}, "anything": {"x": [1]}, "total": 2},
}


@given(OUTER)
def test_what_is_written_is_read_back(record):
    assert Outer.from_plain(json.loads(json.dumps(record.to_plain()))) == record


def test_values_have_the_order_of_the_fields_and_optional_ones_are_left_out():
    record = Outer.from_plain(VALUES)
    assert record.to_plain() == VALUES
    assert list(record.to_plain()) == ["count", "share", "kind", "parts", "span", "by_name", "anything", "total"]
    assert record.by_name["a"].rate == Fraction(30000, 1001)


def test_keys_of_another_version_are_kept_and_missing_ones_have_defaults():
    record = Outer.from_plain({**VALUES, "parts": [{"rate": "25/1", "colour": "red"}], "later": [1]})
    assert record.parts == (Inner(Fraction(25)),)
    assert record.to_plain()["later"] == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": "1"}, "count is '1', not an integer"),
        ({"count": True}, "count is True, not an integer"),
        ({"share": None}, "share is None, not a number"),
        ({"kind": "disc"}, "kind is 'disc', not file or folder"),
        ({"parts": {}}, "parts is {}, not a list"),
        ({"parts": [{"rate": "25/1"}, {"rate": "1/0"}]}, r"parts\[1\].rate is '1/0', not a fraction"),
        ({"parts": [{}]}, r"parts\[0\].rate is missing"),
        ({"parts": [7]}, r"parts\[0\] is 7, not an object"),
        ({"span": [1, 2, 3]}, "span has 3 entries, not 2"),
        ({"span": [1, "2"]}, r"span\[1\] is '2', not an integer"),
        ({"by_name": {"a": {"rate": "25", "name": 3}}}, r"by_name.a.name is 3, not a text"),
        ({"note": "x" * 10_000, "count": "y" * 10_000}, "count is 'yyyyy"),
    ],
)
def test_a_wrong_value_is_named(changes, message):
    with pytest.raises(RecordError, match=f"^{message}") as caught:
        Outer.from_plain({**VALUES, **changes})
    assert len(str(caught.value)) < 200


def test_a_damaged_file_is_named_with_its_field_and_a_remedy(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**VALUES, "count": None}))
    with pytest.raises(InputError, match="this record is damaged: count is None, not an integer") as caught:
        read_record(Outer, path, error=InputError, remedy="delete it")
    assert (caught.value.file, caught.value.remedy) == (path, "delete it")
    with pytest.raises(FileNotFoundError):
        read_record(Outer, tmp_path / "none.json", error=InputError, remedy="delete it")


@dataclass(frozen=True)
class Measured(JsonRecord):
    size: int | Fraction | tuple[int, int] | None = None
    id: Annotated[str, Constraint(pattern="[0-9]+")] = ""
    limits: Mapping[str, int] = optional_mapping()


def test_a_union_takes_the_member_that_fits_and_an_error_is_that_of_the_first():
    assert Measured.from_plain({"size": "1/2"}).size == Fraction(1, 2)
    assert Measured.from_plain({"size": [1, 2]}).size == (1, 2)
    assert Measured.from_plain({"size": 3}).size == 3
    assert Measured.from_plain({"size": None}).size is None
    with pytest.raises(RecordError, match=r"^size is 'x', not an integer"):
        Measured.from_plain({"size": "x"})


def test_an_annotation_is_for_the_schema_alone():
    assert Measured.from_plain({"id": "not digits"}).id == "not digits"
    with pytest.raises(RecordError, match=r"^id is 7, not a text"):
        Measured.from_plain({"id": 7})


def test_an_empty_mapping_is_left_out_and_a_wrong_one_is_named():
    assert "limits" not in Measured().to_plain()
    assert Measured(limits={"a": 1}).to_plain()["limits"] == {"a": 1}
    with pytest.raises(RecordError, match=r"^limits is \[1\], not an object"):
        Measured.from_plain({"limits": [1]})
