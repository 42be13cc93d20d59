"""The audit's file: a JSON object a line, each event once, by one process at a time."""

import fcntl
import logging
import os
import re
from pathlib import Path

import orjson

from jobs.errors import SettingsError
from jobs.model.event import Event
from subscribers.repeats import Recent

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""Entries that this process has written by which a repeat is known: more than a subscriber ever has in hand."""
BLOCK = 65_536
ENTRY = re.compile(rb'\{"entry":"([0-9]+-[0-9]+)"')


class AuditFile:
    """The file at ``path``, made if it is not there, and locked for as long as the process lives.

    Raises:
        SettingsError: it cannot be written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = Recent(REMEMBERED)
        self._before: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise SettingsError(
                [f"{path} cannot be written ({error.strerror}); JOBS_AUDIT_FILE names another"]
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise SettingsError([f"{path} is written by another process; JOBS_AUDIT_FILE names another"]) from error
        self._cut_torn_line()

    def close(self) -> None:
        os.close(self._file)

    def look_up(self, entries: set[str]) -> int:
        """Find those of the entries that are in the file, which are not to be written again; how many they are."""
        with self._path.open("rb") as lines:
            matches = (ENTRY.match(line) for line in lines) if entries else iter(())
            self._before = entries & {match[1].decode() for match in matches if match}
        return len(self._before)

    def append(self, event: Event) -> None:
        """Write the event unless it is there. A line is written whole or not at all.

        Raises:
            OSError: the disk is full, for instance; nothing was written.
        """
        entry = str(event.entry_id)
        if entry in self._before or entry in self._written:
            return
        line = orjson.dumps({"entry": entry, "event": orjson.Fragment(event.text)}, option=orjson.OPT_APPEND_NEWLINE)
        size = os.fstat(self._file).st_size
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, size)
            raise OSError(f"only {written} of {len(line)} bytes could be written to {self._path}")
        self._written.add(entry)

    def _cut_torn_line(self) -> None:
        """What a process was writing when it died goes: its event is not acknowledged, and comes again."""
        size = end = os.fstat(self._file).st_size
        while end > 0:
            start = max(0, end - BLOCK)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            log.warning("%s: its last line was torn, and %d bytes of it are cut off", self._path, size - end)
            os.ftruncate(self._file, end)
