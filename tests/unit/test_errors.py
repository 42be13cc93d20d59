"""Every error is in the tree, and in the table of HTTP codes if a view can raise it."""

import inspect

from app.errors import STATUS_OF
from jobs import errors

NEVER_IN_HTTP = {
    errors.SettingsError,  # ends the process before it serves
    errors.JobFailed,  # raised by AsyncResult.get for a script; views do not propagate
    errors.JobError,  # raised by job functions, in the worker
    errors.JobCancelled,  # raised in job functions, in the worker
    errors.StaleAttempt,  # the same
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


def test_every_leaf_has_a_status_or_never_reaches_http() -> None:
    ours = {leaf for leaf in leaves() if leaf.__module__ == errors.__name__}
    assert ours == (set(STATUS_OF) & ours) | NEVER_IN_HTTP
    assert not set(STATUS_OF) & NEVER_IN_HTTP


def test_the_tree_in_the_docstring_names_every_error() -> None:
    names = {c.__name__ for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__}
    assert all(name in str(errors.__doc__) for name in names)
