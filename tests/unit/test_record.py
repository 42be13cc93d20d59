"""The record of a job: what is read of the hash is all that it is made of."""

from typing import Any

from jobs.model.record import FIELDS, Record


class Noting(dict[str, str]):
    """A hash that notes which fields somebody looks for."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def test_a_record_is_made_of_the_fields_that_are_read_of_it() -> None:
    numbers = dict.fromkeys(("attempt", "max_attempts", "priority", "created_at", "sequence"), "1")
    fields = Noting({"type": "a", "owner": "b", "status": "New", "queue": "c", **numbers})
    Record.from_redis("an id", fields, 1.0)
    assert fields.asked == set(FIELDS)
    assert len(FIELDS) == len(set(FIELDS))
