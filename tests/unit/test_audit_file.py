"""The audit's file: whole lines, each entry once, one process at a time."""

import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.errors import SettingsError
from jobs.model.event import Event
from subscribers.audit_file import BLOCK, AuditFile


def event(entry: str) -> Event:
    return Event("a:1", "created", "", "me", 1, {}, entry, '{"id":"a:1","type":"job.created"}')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "audit.jsonl"


@pytest.fixture
def file(path: Path) -> Iterator[AuditFile]:
    file = AuditFile(path)
    yield file
    file.close()


def lines(path: Path) -> list[str]:
    return [json.loads(line)["entry"] for line in path.read_bytes().splitlines()]


def test_a_line_holds_the_entry_and_the_whole_event(file: AuditFile, path: Path) -> None:
    file.append(event("1-0"))
    assert path.read_text() == '{"entry":"1-0","event":{"id":"a:1","type":"job.created"}}\n'


def test_an_entry_that_comes_again_is_not_written_again(file: AuditFile, path: Path) -> None:
    for entry in ("1-0", "1-1", "1-0"):
        file.append(event(entry))
    assert lines(path) == ["1-0", "1-1"]


def test_what_another_process_wrote_and_did_not_acknowledge_is_not_written_again(path: Path) -> None:
    before = AuditFile(path)
    for entry in ("1-0", "2-0", "3-0"):
        before.append(event(entry))
    before.close()
    after = AuditFile(path)
    assert after.look_up({"2-0", "3-0", "4-0"}) == 2
    for entry in ("2-0", "3-0", "4-0"):
        after.append(event(entry))
    after.close()
    assert lines(path) == ["1-0", "2-0", "3-0", "4-0"]


@pytest.mark.parametrize("torn", [b"{", b'{"entry":"2-0","event":{"id":', b"x" * (3 * BLOCK)])
def test_a_torn_last_line_is_cut_off(path: Path, torn: bytes) -> None:
    path.parent.mkdir()
    whole = b'{"entry":"1-0","event":{}}\n'
    for kept in (whole, b""):
        path.write_bytes(kept + torn)
        AuditFile(path).close()
        assert path.read_bytes() == kept


def test_a_second_process_is_refused(file: AuditFile, path: Path) -> None:
    with pytest.raises(SettingsError, match="another process"):
        AuditFile(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="JOBS_AUDIT_FILE"):
        AuditFile(tmp_path)


def test_a_line_that_does_not_fit_is_not_written_at_all(file: AuditFile, path: Path) -> None:
    file.append(event("1-0"))
    size, limits = path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="10 of"):
            file.append(event("2-0"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.stat(path).st_size == size
    file.append(event("2-0"))
    assert lines(path) == ["1-0", "2-0"]
