"""The list of jobs: which ones, newest first, a page at a time (docs/decisions/0002)."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.model.keys import KEYS
from jobs.model.record import Record
from jobs.model.status import Status
from jobs.store.job_store import JobStore

MOST_LOOKED_AT = 2000
"""Index entries one page of a list looks at; past that it ends early, with a cursor."""
_INDEXES_OF_ALL = [KEYS.index_of_status(status) for status in Status]
"""Every job stands in one of them."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of the list begins: after the job of this creation time (microseconds) and id."""

    created_at: int
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which jobs a list shows; times are microseconds, both ends included."""

    owner: str | None = None
    status: Status | None = None
    type: str | None = None
    tags: Sequence[tuple[str, str]] = ()
    """Names and values, all of which it must have."""
    created_after: int | None = None
    created_before: int | None = None


def page(
    store: JobStore, selection: Selection, limit: int, after: Position | None
) -> tuple[list[Record], Position | None]:
    """One page of jobs, newest first, and where the next begins (None: there is none).

    The work is bounded by ``MOST_LOOKED_AT``, and the jobs by what :meth:`JobStore.first_records` reads at once, so a
    page may be short and still have a next one.
    """
    ends = [end for end in (selection.created_before, after.created_at if after else None) if end is not None]
    args = [
        selection.created_after if selection.created_after is not None else "-inf",
        min(ends, default="+inf"),
        after.created_at if after else 0,
        after.job_id if after else "",
        limit + 1,
        MOST_LOOKED_AT,
    ]
    indexes = _indexes(selection)
    args.append("every" if indexes else "any")
    stopped, last_score, last_id, *found = store.call("list", indexes or _INDEXES_OF_ALL, args)
    entries = list(zip(found[::2], found[1::2], strict=True))
    more = Position(int(last_score), last_id) if stopped else None
    records = store.first_records([job_id for job_id, _ in entries[:limit]])
    if len(records) < len(entries):
        last_id, last_score = entries[len(records) - 1]
        more = Position(int(last_score), last_id)
    return [record for record in records if record is not None], more


def _indexes(selection: Selection) -> list[str]:
    """Those in all of which a selected job stands; none where every job is selected."""
    indexes = [KEYS.index_of_tag(name, value) for name, value in selection.tags]
    if selection.owner is not None:
        indexes.append(KEYS.index_of_owner(selection.owner))
    if selection.status is not None:
        indexes.append(KEYS.index_of_status(selection.status))
    if selection.type is not None:
        indexes.append(KEYS.index_of_type(selection.type))
    return indexes
