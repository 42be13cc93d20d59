"""The Prefer header, and the wait that comes of it."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.prefer import Prefer, WaitChoice, choose_wait, parse_prefer, parse_wait_text, preference_applied

quick = settings(deadline=None, database=None)
NOTHING = Prefer()


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("", NOTHING),
        ("wait=10", Prefer(wait="10")),
        ("WAIT = 10", Prefer(wait="10")),
        ('wait="10"', Prefer(wait="10")),
        ("wait=10; foo=bar", Prefer(wait="10")),
        ("respond-async, wait=10", Prefer(wait="10", respond_async=True)),
        ("respond-async,wait=10, return=minimal", Prefer("10", True, True)),
        ("Respond-Async", Prefer(respond_async=True)),
        ("return=Minimal", Prefer(return_minimal=True)),
        ("return=representation", NOTHING),
        ("handling=lenient; wait=5", NOTHING),
        ("wait=nonsense", Prefer(wait="nonsense")),
    ],
)
def test_preferences_are_read(header: str, meant: Prefer) -> None:
    assert parse_prefer(header) == meant


def test_the_first_of_equal_preferences_counts() -> None:
    assert parse_prefer("wait=1, WAIT=2,wait=3").wait == "1"
    assert not parse_prefer("return=representation, return=minimal").return_minimal


def test_commas_and_semicolons_in_quotes_separate_nothing() -> None:
    assert parse_prefer('foo="a, wait=9; \\", wait=8", wait=2') == Prefer(wait="2")


@pytest.mark.parametrize("malformed", ["=5", ", ;, =", '"', "a b c", 'foo="a, wait=9'])
def test_malformed_parts_are_passed_over(malformed: str) -> None:
    assert parse_prefer("respond-async, " + malformed) == Prefer(respond_async=True)


@pytest.mark.parametrize("wait", ["5 6", "=5", "", "1:00", "1/2", "\uff11", "a b"])
def test_a_wait_that_is_no_number_is_told_however_malformed(wait: str) -> None:
    asked = parse_prefer(f"respond-async, wait={wait}").wait
    assert asked is not None
    with pytest.raises(ValueError, match="number of seconds"):
        parse_wait_text(asked)


@quick
@given(st.text() | st.text('wait=";,\\ \t9'))
@example('"\\')
@example('"a\\\n"')
def test_no_header_raises(header: str) -> None:
    parse_prefer(header)


@pytest.mark.parametrize("hostile", ['\\"' * 8_000, '"' * 16_001, "a" + " " * 16_000 + "b", 'a="' + "\\" * 16_001])
def test_a_hostile_header_takes_no_time(hostile: str) -> None:
    began = time.process_time()
    parse_prefer(hostile)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("10", 10),
        ("0.25", 0.25),
        ("007", 7),
        ("9" * 20, 1e20),
        ("9" * 400, float("inf")),
        ("0." + "3" * 30, 1 / 3),
    ],
)
def test_a_wait_is_plain_decimal_digits(text: str, seconds: float) -> None:
    assert parse_wait_text(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nan",
        "inf",
        "-1",
        "+1",
        "1_0",
        "\uff11\uff10",
        "٣",
        "1e3",
        ".5",
        "5.",
        "1,5",
        "5 ",
        "5\n",
        "0x1",
        "soon",
        "1" * 401,
    ],
)
def test_any_other_wait_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^A wait is a number of seconds"):
        parse_wait_text(text)


@pytest.mark.parametrize(
    ("asked", "header", "seconds", "from_prefer"),
    [
        (None, "", 3, False),
        (5, "", 5, False),
        (0, "wait=10", 0, False),
        (5, "respond-async, wait=nonsense", 5, False),
        (None, "wait=10", 10, True),
        (None, "respond-async", 0, True),
        (None, "respond-async, wait=10", 10, True),
        (None, "return=minimal", 3, False),
    ],
)
def test_the_body_decides_the_wait_then_prefer_then_the_default(
    asked: float | None, header: str, seconds: float, from_prefer: bool
) -> None:
    assert choose_wait(asked, parse_prefer(header), 3, 60) == WaitChoice(seconds, from_prefer)


def test_a_wait_above_the_longest_is_clamped() -> None:
    assert choose_wait(1e9, NOTHING, 0, 60).seconds == 60
    assert choose_wait(None, Prefer(wait="61"), 0, 60).seconds == 60
    assert choose_wait(None, NOTHING, 90, 60).seconds == 60


def test_a_wait_in_prefer_that_is_no_number_is_refused_when_it_decides() -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        choose_wait(None, Prefer(wait="soon"), 0, 60)


@pytest.mark.parametrize(
    ("asked", "header", "applied"),
    [
        (None, "", None),
        (None, "wait=10", "wait=10"),
        (None, "wait=0.250", "wait=0.25"),
        (None, "wait=90", "wait=60"),
        (None, "wait=0.0000001", "wait=0.0000001"),
        (None, "respond-async", "respond-async"),
        (None, "wait=5, respond-async", "respond-async, wait=5"),
        (5, "respond-async, wait=10", None),
    ],
)
def test_what_was_used_is_echoed_as_it_was_used(asked: float | None, header: str, applied: str | None) -> None:
    prefer = parse_prefer(header)
    assert preference_applied(prefer, choose_wait(asked, prefer, 0, 60), minimal_applied=False) == applied


def test_a_minimal_answer_is_echoed_whoever_decided_the_wait() -> None:
    prefer = parse_prefer("return=minimal, wait=5")
    assert preference_applied(prefer, choose_wait(1, prefer, 0, 60), minimal_applied=True) == "return=minimal"
    applied = preference_applied(prefer, choose_wait(None, prefer, 0, 60), minimal_applied=True)
    assert applied == "wait=5, return=minimal"


@quick
@given(st.decimals(0, 60, places=3))
def test_an_echoed_wait_reads_as_the_wait_that_was_given(wait: object) -> None:
    prefer = parse_prefer(f"wait={wait}")
    choice = choose_wait(None, prefer, 0, 60)
    applied = preference_applied(prefer, choice, minimal_applied=False)
    assert applied is not None
    assert parse_wait_text(applied.removeprefix("wait=")) == choice.seconds
