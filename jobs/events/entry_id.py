"""The ids of a stream's entries: ``<milliseconds>-<sequence>``."""

HIGHEST_SEQUENCE = 2**64 - 1


def order_of(entry_id: str) -> tuple[int, int]:
    """The id of a stream's entry as what it sorts by."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def just_before(entry_id: str) -> str:
    """The highest id that is lower; ``0-0`` is the lowest."""
    milliseconds, sequence = order_of(entry_id)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{milliseconds - 1}-{HIGHEST_SEQUENCE}" if milliseconds else "0-0"
