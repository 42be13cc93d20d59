"""Parameters against an announced schema."""

import logging

import pytest

from app.parameters import ParameterRules
from app.strict_json import LONGEST_POINTER
from jobs.errors import InvalidParameters
from jobs.store.job_types import JobTypeInfo


def test_what_breaks_a_rule_is_told_with_its_place() -> None:
    info = JobTypeInfo("t", parameters={"type": "object", "properties": {"a/b": {"type": "integer"}}})
    with pytest.raises(InvalidParameters) as caught:
        ParameterRules().check(info, {"a/b": "x"})
    assert [where for where, _ in caught.value.errors] == ["/parameters/a~1b"]


def test_a_long_name_that_was_sent_is_not_repeated_in_full() -> None:
    info = JobTypeInfo("t", parameters={"properties": {}, "additionalProperties": False})
    with pytest.raises(InvalidParameters) as caught:
        ParameterRules().check(info, {"k" * 10_000: 1})
    assert len(caught.value.errors[0][0]) == LONGEST_POINTER + 1


def test_a_schema_that_is_not_understood_refuses_nobody_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rules, info = ParameterRules(), JobTypeInfo("t", parameters={"properties": {"a": {"pattern": r"(?P<x>a)(?P=x)"}}})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            rules.check(info, {"a": "b"})
    assert caplog.text.count("the parameters of t are not checked here") == 1
