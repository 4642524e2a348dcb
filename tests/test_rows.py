"""Rows of a kind: unique, found by name, in the order in which they came."""

from dataclasses import dataclass

import pytest

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.rows import DuplicateRow, Rows, UnknownRow, load_code


@dataclass(frozen=True)
class Fruit:
    """A row."""

    name: str
    kernel: str = "stone"


@pytest.fixture
def fruits():
    return Rows("fruit", Fruit("plum"), Fruit("apple", "pip"))


def test_rows_come_in_order_and_by_name(fruits):
    assert list(fruits) == ["plum", "apple"]
    assert fruits["apple"].kernel == "pip"
    assert ("plum" in fruits, "pear" in fruits, 3 in fruits) == (True, False, False)


def test_a_second_row_of_a_name_is_refused(fruits):
    with pytest.raises(DuplicateRow, match="two rows for the fruit 'plum'"):
        fruits.add(Fruit("plum", "other"))
    with pytest.raises(DuplicateRow):
        Rows("fruit", Fruit("fig"), Fruit("fig"))


def test_an_unknown_name_lists_what_exists(fruits):
    for ask in (lambda: fruits["pear"], lambda: fruits.remove("pear")):
        with pytest.raises(UnknownRow, match=r"There is no fruit 'pear'\. Known: plum, apple\.") as caught:
            ask()
        assert caught.value.facts["known"] == ["plum", "apple"]
        assert isinstance(caught.value, BlueprintError)


def test_pydantic_can_check_a_name(fruits):
    """Models turn a ValueError into one of their own."""
    assert fruits.checked("plum") == "plum"
    with pytest.raises(ValueError, match="Known: plum, apple"):
        fruits.checked("pear")


def test_a_row_that_is_removed_is_gone(fruits):
    fruits.remove("plum")
    assert list(fruits) == ["apple"]


def test_code_is_imported_by_its_place():
    assert load_code("pathlib:PurePosixPath")("a", "b").as_posix() == "a/b"
    with pytest.raises(AttributeError):
        load_code("pathlib:NoPath")
