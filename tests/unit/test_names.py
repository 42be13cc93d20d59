"""Which names there may be."""

import pytest

from jobs.names import JOB_TYPE, OWNER, QUEUE, SERVICE, NameRule

RULES = {"owner": OWNER, "job type": JOB_TYPE, "queue": QUEUE, "service": SERVICE}
each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@each_rule
@pytest.mark.parametrize("name", ["a", "Z-9_z", "default"])
def test_letters_digits_and_dashes_make_a_name(rule: NameRule, name: str) -> None:
    assert rule.allows(name)


@each_rule
@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "a,b", "a*", "ä", "٣", "a\n", "x" * 101, None, b"a"])
def test_what_is_written_otherwise_is_none(rule: NameRule, name: object) -> None:
    assert not rule.allows(name)


def test_the_longest_names() -> None:
    assert [rule.allows("x" * 100) for rule in RULES.values()] == [False, True, True, True]
    assert [OWNER.allows("x" * length) for length in (64, 65)] == [True, False]
    assert [rule.allows("a.b") for rule in RULES.values()] == [False, True, True, True]


@pytest.mark.parametrize("name", ["jobs:stream", "unacked", "unacked_index", "_kombu.binding.x", "amq.gen", ".a", "-Q"])
def test_what_a_broker_keeps_for_itself_is_no_queue(name: str) -> None:
    assert not QUEUE.allows(name)
