"""Every error is in the tree, and in the table of HTTP codes if a view can raise it."""

import inspect

import app.errors
from app.errors import MEANING_OF, USUAL
from app.strict_json import MalformedJson, UnstorableText
from jobs import errors

NEVER_IN_HTTP = {
    errors.SettingsError,  # ends the process before it serves
    errors.AttemptsUsedUp,  # raised where an attempt is lost; what a client has run again is given more attempts
    errors.JobFailed,  # raised by AsyncResult.get for a script; views do not propagate
    errors.JobError,  # raised by job functions, in the worker
    errors.JobCancelled,  # raised in job functions, in the worker
    errors.StaleAttempt,  # the same
    errors.NotPublished,  # a reconciler publishes it later
    errors.UnusableMessage,  # raised where a worker fetches messages
    errors.DeadLetterNotFound,  # raised for the command `python -m workers.dead_letters`
    errors.DeadLetterIncomplete,  # the same
    errors.SubscriptionNotFound,  # raised for the command `python -m subscribers.groups`
    errors.SubscriptionInUse,  # the same
    errors.LeaseLost,  # raised in durable subscribers
    errors.GroupMissing,  # the same
}


def leaves() -> set[type[Exception]]:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.JobsError)]
    return {c for c in classes if not c.__subclasses__() or c is errors.JobError}


def test_every_leaf_has_a_meaning_or_never_reaches_http() -> None:
    ours = {leaf for leaf in leaves() if leaf.__module__ == errors.__name__}
    assert ours == (set(MEANING_OF) & ours) | NEVER_IN_HTTP
    assert not set(MEANING_OF) & NEVER_IN_HTTP


def test_every_error_of_the_front_door_s_own_has_a_meaning() -> None:
    classes = {c for _, c in inspect.getmembers(app.errors, inspect.isclass) if issubclass(c, Exception)}
    own = {c for c in classes if c.__module__ == app.errors.__name__}
    assert own
    assert own | {MalformedJson, UnstorableText} <= set(MEANING_OF)


def test_a_meaning_of_its_own_keeps_to_a_status_that_others_have() -> None:
    assert all(meaning.status in USUAL for meaning in MEANING_OF.values())


def test_the_tree_in_the_docstring_names_every_error() -> None:
    names = {c.__name__ for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__}
    assert all(name in str(errors.__doc__) for name in names)
