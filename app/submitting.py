"""From a request to what is submitted: ids, waits, and every job checked against what its type asks for."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from flask import request

from app.callbacks import callback_of
from app.errors import InvalidRequest
from app.front_door import FrontDoor
from app.parameters import MOST_ERRORS, as_json
from app.prefer import Prefer, WaitChoice, choose_wait, parse_prefer
from app.schemas import UUID
from jobs.errors import InvalidParameters, JobNotFound, JobsError, UnknownJobType
from jobs.model.submission import Submission, new_traceparent
from jobs.store.batch import BatchSubmission

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def canonical(given: str, not_found: Callable[[str], JobsError] = JobNotFound) -> str:
    """An id as we write it, of a job unless ``not_found`` says otherwise.

    Raises:
        JobNotFound, or what ``not_found`` makes: it is no UUID, so nothing has it.
    """
    if not re.fullmatch(UUID, given, re.ASCII):
        raise not_found(given[:40])
    return given.lower()


def choose(door: FrontDoor, asked: float | None) -> tuple[Prefer, WaitChoice]:
    """What the request prefers, and how long it waits.

    Raises:
        InvalidRequest: ``Prefer: wait`` is no number of seconds.
    """
    prefer = parse_prefer(request.headers.get("Prefer", ""))
    try:
        return prefer, choose_wait(asked, prefer, door.settings.default_wait, door.settings.max_wait)
    except ValueError as error:
        raise InvalidRequest([("Prefer", str(error))]) from error


def submission(door: FrontDoor, body: dict[str, Any]) -> Submission:
    """The checked submit of one job.

    Raises:
        UnknownJobType, InvalidParameters, InvalidRequest, StoreUnavailable.
    """
    chosen = body.get("id")
    return _checked(
        door,
        body,
        owner=body["owner"],
        traceparent=_traceparent(),
        chosen_id=chosen.lower() if chosen else None,
        idempotency_key=_idempotency_key(),
    )


def batch_submission(door: FrontDoor, body: dict[str, Any]) -> BatchSubmission:
    """The checked submit of a batch.

    Raises:
        InvalidRequest: with the JSON pointer of what is wrong, of whichever job; StoreUnavailable.
    """
    owner, traceparent, chosen = body["owner"], _traceparent(), body.get("id")
    jobs: list[Submission] = []
    wrong: list[tuple[str, str]] = []
    for number, job in enumerate(body["jobs"]):
        try:
            jobs.append(_checked(door, job, owner=owner, traceparent=traceparent))
        except (UnknownJobType, InvalidParameters, InvalidRequest) as error:
            wrong += [(f"/jobs/{number}{where}", what) for where, what in _faults(error)]
            if len(wrong) >= MOST_ERRORS:
                break
    if wrong:
        raise InvalidRequest(wrong[:MOST_ERRORS])
    return BatchSubmission(
        id=chosen.lower() if chosen else str(uuid4()),
        owner=owner,
        jobs=jobs,
        traceparent=traceparent,
        chosen_id=chosen.lower() if chosen else None,
        idempotency_key=_idempotency_key(),
    )


def _checked(door: FrontDoor, body: dict[str, Any], **more: Any) -> Submission:
    info = door.types.get(body["type"])
    door.rules.check(info, body["parameters"])
    return Submission(
        type=info.name,
        parameters_json=as_json(body["parameters"]),
        queue=info.queue,
        max_attempts=info.max_attempts,
        priority=body.get("priority", 5),
        delay=body.get("delay", 0.0),
        tags=body.get("tags", {}),
        callback=callback_of(door, body["callback"], "/callback") if "callback" in body else None,
        **more,
    )


def _faults(error: UnknownJobType | InvalidParameters | InvalidRequest) -> Iterator[tuple[str, str]]:
    if isinstance(error, UnknownJobType):
        yield "/type", str(error)
    else:
        yield from error.errors


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(r"[!-~]{1,255}", key, re.ASCII):
        raise InvalidRequest([("Idempotency-Key", "Must be 1 to 255 visible ASCII characters.")])
    return key


def _traceparent() -> str:
    given = request.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else new_traceparent()
