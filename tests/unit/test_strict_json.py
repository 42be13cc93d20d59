"""JSON as RFC 8259 writes it, and what is refused of the rest."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.strict_json import DEEPEST, LONGEST_POINTER, MalformedJson, UnstorableText, loads

quick = settings(deadline=None, database=None)
text = st.text(st.characters(exclude_categories=["Cs"]))
number = st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False)
document = st.recursive(
    st.none() | st.booleans() | number | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=20,
)


def refusal(body: bytes) -> str:
    with pytest.raises(MalformedJson) as caught:
        loads(body)
    return str(caught.value)


def pointer(body: bytes) -> str:
    with pytest.raises(UnstorableText) as caught:
        loads(body)
    return caught.value.pointer


@quick
@given(document, st.booleans())
def test_every_json_document_is_read_as_it_was_written(value: Any, escaped: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=escaped).encode()) == value


@quick
@given(st.binary() | st.text('[]{}:,"\\ud8e1.-0a \n').map(str.encode))
@example(b'{"a":1e999x}')
@example(b'"\\ud800\\')
def test_nothing_raises_anything_else(body: bytes) -> None:
    with contextlib.suppress(MalformedJson, UnstorableText):
        loads(body)


@pytest.mark.parametrize("body", [b"", b"  \r\n\t"])
def test_an_empty_body_is_told_so(body: bytes) -> None:
    assert refusal(body) == "The body is empty; a JSON document is expected."


@pytest.mark.parametrize("body", [b"nope", b"{'a': 1}", b"[1,]", b"[1] x", b'{"a" 1}', b'"\n"', b"01", b"a=b&c=d"])
def test_what_is_no_json_is_refused_with_its_place(body: bytes) -> None:
    assert "(line 1, column " in refusal(body)


def test_the_place_counts_lines_and_characters() -> None:
    assert "(line 3, column 8)" in refusal('{\n"ä": 1,\n"öü": [1e999]}'.encode())
    assert "(line 2, column 2)" in refusal(b'["fine",\n"\xff"]')


def test_utf_8_is_the_only_encoding() -> None:
    assert "byte order mark" in refusal(b"\xef\xbb\xbf{}")
    for body in (b'"\xe9"', b'"\xed\xa0\x80"', '{"a": 1}'.encode("utf-16")):
        assert "not UTF-8" in refusal(body) or "not JSON" in refusal(body)


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a": -Infinity}'])
def test_numbers_that_json_does_not_have_are_refused(body: bytes) -> None:
    assert "there is no number of that name (line 1, column " in refusal(body)


@pytest.mark.parametrize(
    "body", [b"1e999", b"-1e999", b"9" * 5_000, b"-" + b"9" * 310, b"1" + b"0" * 309, b"9" * 10**6]
)
def test_a_number_too_large_is_refused_without_repeating_its_digits(body: bytes) -> None:
    message = refusal(body)
    assert message.startswith("A number is too large")
    assert len(message) < 100
    assert "999" not in message


def test_the_place_of_a_number_is_not_that_of_a_string_that_looks_like_it() -> None:
    assert "(line 1, column 11)" in refusal(b'["1e999", 1e999]')


def test_large_numbers_that_fit_are_read() -> None:
    assert loads(b"1e308") == 1e308
    assert loads(b"9" * 308) == 10**308 - 1


def test_a_key_that_stands_twice_is_named() -> None:
    assert "'a'" in refusal(b'{"b": [{"a": 1, "c": 2, "a": 1}]}')
    assert "twice" in refusal(b'{"\\u0061": 1, "a": 1}')
    assert loads(b'[{"a": 1}, {"a": {"a": 2}}]') == [{"a": 1}, {"a": {"a": 2}}]


def test_a_long_key_is_not_repeated_in_full() -> None:
    key = b'"' + b"k" * 10_000 + b'": 1'
    assert refusal(b"{" + key + b"," + key + b"}") == f"The key '{'k' * 60}'… stands twice in one object."


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_read_to_32_levels_and_no_further(opening: bytes, closing: bytes) -> None:
    loads(opening * DEEPEST + b"1" + closing * DEEPEST)
    assert "more than 32 levels deep (line 1, " in refusal(opening * 33 + b"1" + closing * 33)


def test_brackets_in_strings_and_side_by_side_are_no_nesting() -> None:
    assert loads(b'["' + b"[" * 500 + b'\\"{{"]') == ["[" * 500 + '"{{']
    assert loads(b"[" + b",".join([b"[]"] * 500) + b"]") == [[]] * 500


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"]" * 100_000 + b"[" * 100_000])
def test_100_000_levels_are_refused_at_once(body: bytes) -> None:
    began = time.process_time()
    refusal(body)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'"\\ud800"', ""),
        (b'{"a": ["x", "\\uDFFF"]}', "/a/1"),
        (b'{"a/b~c": "\\udc00\\ud800"}', "/a~1b~0c"),
        (b'{"a": {"\\ud800": 1}}', "/a"),
        (b'["\\ud83d\\ude00", "\\ud83d"]', "/1"),
    ],
)
def test_a_lone_surrogate_is_pointed_at(body: bytes, where: str) -> None:
    assert pointer(body) == where


def test_pairs_and_escaped_backslashes_are_no_lone_surrogates() -> None:
    assert loads(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\N{GRINNING FACE}", "\\ud800"]


def test_a_long_pointer_is_cut() -> None:
    assert len(pointer(b'{"' + b"k" * 10_000 + b'": "\\ud800"}')) == LONGEST_POINTER + 1


def test_a_body_full_of_strings_is_searched_for_surrogates_without_holding_up_the_others() -> None:
    body = b"[" * 30 + b'["\\ud83d\\ude00"' + b',"a"' * 250_000 + b"]" + b"]" * 30
    began = time.process_time()
    loads(body)
    assert time.process_time() - began < 1.0
