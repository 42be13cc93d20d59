"""The supervisor with small real processes: it waits, shows, starts again, and leaves nobody behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from support.eventually import eventually
from support.processes import ROOT, clean_environ

from launch.__main__ import main
from launch.child import child_options
from launch.redis_server import RedisServer, free_port
from launch.terminal import settle

SCRIPT = """
import pathlib, sys
from launch.part import Part, Show
from launch.redis_server import RedisServer
from launch.supervisor import Supervisor
from launch.terminal import say
import os
here = pathlib.Path(sys.argv[1])
python = [sys.executable, "-u", "-c"]
def there(name): return (here / name).exists
server, checks, within = None, {{}}, 20.0
{what}
supervisor = Supervisor(parts, os.environ, here, server)
supervisor.catch_signals()
if server: server.start()
try:
    supervisor.start()
    ready = supervisor.wait_until_ready(checks, within)
    if ready:
        say("READY")
        supervisor.watch()
    failed = not ready and not supervisor.stopping
finally:
    supervisor.stop()
sys.exit(1 if failed else 0)
"""

SLEEPER = "import time; print('up'); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
UNLUCKY = "print('no luck'); raise SystemExit(7)"
FAMILY = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "


class Run:
    """``what`` sets ``parts`` and may set ``server``, ``checks`` and ``within``; the rest is as in `make run`.

    ``terminal`` is where its output goes in place of a file.
    """

    def __init__(self, directory: Path, what: str, terminal: Path | None = None, **environ: str) -> None:
        self.directory, self.output = directory, directory / "terminal"
        with (terminal or self.output).open("r+b" if terminal else "wb", buffering=0) as stream:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", SCRIPT.format(what=what), str(directory)],
                env=clean_environ(**environ),
                stdout=stream,
                stderr=stream,
                **child_options(),
            )
        self.started: list[psutil.Process] = []
        self.guardians: list[psutil.Process] = []

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def says(self, text: str) -> str:
        return eventually(lambda: self.text if text in self.text else "", within=15)

    def ready(self) -> "Run":
        self.says("READY")
        return self.note()

    def note(self) -> "Run":
        """Remember who runs now, to see later that nobody was left behind."""
        for process in psutil.Process(self.popen.pid).children(recursive=True):
            guards = any(part.endswith("guardian.py") for part in process.cmdline())
            noted = self.guardians if guards else self.started
            if process not in noted:
                noted.append(process)
        return self

    def interrupt(self) -> None:
        self.popen.send_signal(signal.SIGINT)

    def alive(self) -> list[psutil.Process]:
        return [p for p in (*self.started, *self.guardians) if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def end(self) -> None:
        if self.popen.poll() is None:
            self.note()
        self.popen.kill()
        self.popen.wait()
        for process in self.alive():
            process.kill()


Launch = Callable[..., Run]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    runs: list[Run] = []

    def start(what: str, terminal: Path | None = None, **environ: str) -> Run:
        runs.append(Run(tmp_path, what, terminal, **environ))
        return runs[-1]

    yield start
    for run in runs:
        run.end()


def test_ctrl_c_ends_everything_with_exit_code_0(launch: Launch) -> None:
    run = launch(f"parts = [Part('a', [*python, {SLEEPER!r}]), Part('b', [*python, {SLEEPER!r}])]").ready()
    assert len(run.started) == 2
    run.interrupt()
    assert run.popen.wait(5) == 0
    assert not run.alive()


def test_who_ignores_sigterm_is_killed_after_its_grace_with_all_its_children(launch: Launch) -> None:
    run = launch(
        f"parts = [Part('deaf', [*python, {FAMILY + STUBBORN!r}], Show.EVERYTHING, grace=0.3)]\n"
        "checks = {'deaf': lambda: 'deaf' in parts[0].last_lines}"
    ).ready()
    assert len(run.started) == 2
    run.interrupt()
    assert run.popen.wait(5) == 0
    eventually(lambda: not run.alive())


def test_a_second_ctrl_c_waits_for_nobody(launch: Launch) -> None:
    run = launch(
        f"parts = [Part('deaf', [*python, {STUBBORN!r}], Show.EVERYTHING, grace=60),"
        f" Part('polite', [*python, {SLEEPER!r}])]\nchecks = {{'deaf': lambda: 'deaf' in parts[0].last_lines}}"
    ).ready()
    deaf, polite = run.started
    run.interrupt()
    eventually(lambda: polite not in run.alive())
    assert deaf in run.alive()
    run.interrupt()
    assert run.popen.wait(5) == 0
    assert not run.alive()


def test_nobody_outlives_a_launcher_that_is_killed(launch: Launch) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    run = launch(
        f"server = RedisServer(here / 'redis')\nparts = [Part('a', [*python, {SLEEPER!r}], Show.EVERYTHING)]"
    ).ready()
    assert len(run.started) == 2
    run.popen.kill()
    eventually(lambda: not run.alive())


def test_not_even_who_is_deaf_and_was_started_again_outlives_a_launcher_that_is_killed(launch: Launch) -> None:
    run = launch(f"parts = [Part('deaf', [*python, {FAMILY + STUBBORN!r}], Show.EVERYTHING)]").ready()
    run.says("deaf\n")
    run.note().started[0].kill()
    run.says("starting it again\ndeaf\n")
    assert len(run.note().alive()) == 3  # the part, its child, the guardian
    run.popen.kill()
    eventually(lambda: not run.alive())


def test_a_launcher_whose_guardian_was_killed_still_ends_in_order(launch: Launch) -> None:
    run = launch(f"parts = [Part('a', [*python, {SLEEPER!r}])]").ready()
    run.guardians[0].kill()
    run.interrupt()
    assert run.popen.wait(5) == 0
    assert not run.alive()


def test_who_dies_is_started_again_and_that_is_said(launch: Launch) -> None:
    run = launch(f"parts = [Part('a', [*python, {SLEEPER!r}])]").ready()
    os.kill(run.started[0].pid, signal.SIGKILL)
    run.says("--- a died (exit code -9); starting it again")
    first = run.started[0].pid
    eventually(lambda: run.note().started[-1].pid != first)


def test_who_dies_again_and_again_is_started_ever_later(launch: Launch) -> None:
    run = launch("parts = [Part('a', [*python, 'raise SystemExit(3)'])]")
    run.says("--- a died (exit code 3); starting it again\n")
    run.says("--- a died (exit code 3); starting it again in 2 s\n")


def test_an_embedded_server_that_dies_is_started_again_on_its_port(launch: Launch, tmp_path: Path) -> None:
    run = launch(
        "server = RedisServer(here / 'redis')\n"
        f"parts = [Part('a', [*python, {SLEEPER!r}])]\nsay(f'PORT {{server.port}}')"
    ).ready()
    port = int(run.text.split("PORT ")[1].split()[0])
    server = next(p for p in run.started if "redis-server" in p.name() or "valkey-server" in p.name())
    server.kill()
    run.says("the embedded server died; starting it again with its data")
    eventually(lambda: answers(port))


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_who_dies_while_starting_is_named_with_its_last_words(launch: Launch) -> None:
    run = launch(
        f"parts = [Part('a', [*python, {SLEEPER!r}]), Part('b', [*python, {UNLUCKY!r}])]\n"
        "checks = {'never': lambda: False}"
    )
    assert run.popen.wait(10) == 1
    assert "joborchestrator: b ended while starting (exit code 7):\n  no luck\n" in run.text


def test_what_does_not_come_up_in_time_is_named(launch: Launch) -> None:
    run = launch(
        f"parts = [Part('a', [*python, {SLEEPER!r}])]\nwithin = 0.3\n"
        "checks = {'the fast': lambda: True, 'the slow': lambda: False}"
    )
    assert run.popen.wait(10) == 1
    assert "not ready after 0.3 s: the slow;" in run.text


def test_the_log_has_every_line_and_the_terminal_the_alarming_ones(launch: Launch, tmp_path: Path) -> None:
    speaks = "import time; print('all is well'); print('WARNING: it is not'); time.sleep(60)"
    run = launch(
        f"parts = [Part('quiet', [*python, {speaks!r}]), Part('x', [*python, {speaks!r}], Show.PREFIXED),"
        f" Part('loud', [*python, {speaks!r}], Show.EVERYTHING)]"
    )
    for shown in ("quiet | WARNING: it is not\n", "x | all is well\n", "\nall is well\n"):
        run.says(shown)
    assert "quiet | all is well" not in run.text
    assert (tmp_path / "quiet.log").read_text() == "all is well\nWARNING: it is not\n"


def test_who_says_a_lot_never_waits_for_its_reader(launch: Launch, tmp_path: Path) -> None:
    talks = "import pathlib, time; [print('x' * 99) for _ in range(30000)]; "
    talks += f"pathlib.Path({str(tmp_path / 'said')!r}).touch(); time.sleep(60)"
    launch(f"parts = [Part('a', [*python, {talks!r}])]\nchecks = {{'said': there('said')}}").ready()


@pytest.fixture
def stalled(tmp_path: Path) -> Iterator[Path]:
    """A terminal that takes what a pipe holds, and no more."""
    os.mkfifo(tmp_path / "stalled")
    reader = os.open(tmp_path / "stalled", os.O_RDONLY | os.O_NONBLOCK)
    yield tmp_path / "stalled"
    os.close(reader)


def test_a_terminal_that_takes_no_more_holds_up_neither_the_parts_nor_ctrl_c(
    launch: Launch, tmp_path: Path, stalled: Path
) -> None:
    talks = "import pathlib, time; [print('x' * 99) for _ in range(30000)]; "
    talks += f"pathlib.Path({str(tmp_path / 'said')!r}).touch(); time.sleep(60)"
    run = launch(f"parts = [Part('a', [*python, {talks!r}], Show.EVERYTHING)]", stalled)
    eventually((tmp_path / "said").exists, within=15)
    run.note().interrupt()
    assert run.popen.wait(5) == 0
    assert not run.alive()


def test_what_a_terminal_cannot_spell_is_replaced_there_and_whole_in_the_log(launch: Launch, tmp_path: Path) -> None:
    spells = "import sys, time; sys.stdout.buffer.write(b'caf\\xc3\\xa9\\n'); sys.stdout.flush(); time.sleep(60)"
    run = launch(f"parts = [Part('a', [*python, {spells!r}], Show.EVERYTHING)]", PYTHONIOENCODING="ascii").ready()
    run.says("caf?\n")
    assert (tmp_path / "a.log").read_text(encoding="utf-8") == "café\n"
    run.interrupt()
    assert run.popen.wait(5) == 0


def mine(directory: Path, **environ: str) -> dict[str, str]:
    places = {"JOBS_DATA_DIR": str(directory / "data"), "PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    return clean_environ(**{**places, **environ})


Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    """The one line that `make run` says before it ends with exit code 2, having started nothing."""

    def ask(**environ: str) -> str:
        code = main(mine(tmp_path, **environ))
        settle()
        said = capfd.readouterr()
        assert (code, said.out, said.err.count("\n")) == (2, "", 1), said.err
        return said.err

    return ask


def test_a_data_directory_in_use_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "data" / "redis"):
        command = [sys.executable, "-m", "launch"]
        done = subprocess.run(command, env=mine(tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "is in use; JOBS_DATA_DIR names another" in done.stderr


def test_a_mistake_in_the_environment_starts_nothing(refused: Refused, tmp_path: Path) -> None:
    said = refused(WORKERS="many", JOBS_WIAT="1")
    assert "WORKERS='many'" in said
    assert "JOBS_WIAT is no setting" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("variable", "what"), [("PORT", "the API"), ("FLOWER_PORT", "Flower")])
def test_a_port_that_is_taken_is_named_with_the_variable_that_changes_it(
    refused: Refused, variable: str, what: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port} for {what} cannot be had" in (said := refused(**{variable: str(port)}))
        assert f"{variable} changes it" in said


@pytest.mark.parametrize("host", ["é" * 70, "192.0.2.1"], ids=["no name", "another machine"])
def test_a_host_that_is_not_this_machine_is_one_line(refused: Refused, host: str) -> None:
    assert "HOST changes it" in refused(HOST=host)


def test_a_redis_that_is_not_there_is_one_line(refused: Refused) -> None:
    said = refused(JOBS_REDIS_URL=f"redis://:secret@127.0.0.1:{free_port()}/0")
    assert "cannot be used" in said
    assert "secret" not in said


def test_a_redis_that_accepts_and_never_answers_is_one_line(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = refused(JOBS_REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
    assert "cannot be used" in said


@pytest.mark.parametrize("given", ["", ":wrong@"])
def test_a_wrong_password_is_one_line_without_it(refused: Refused, tmp_path: Path, given: str) -> None:
    with RedisServer(tmp_path / "redis") as server:
        with Redis.from_url(server.url) as client:
            client.config_set("requirepass", "right")
        said = refused(JOBS_REDIS_URL=server.url.replace("://", f"://{given}"))
        assert "refuses the user or password" in said
        assert "wrong" not in said


@pytest.fixture
def old_redis() -> Iterator[int]:
    """The port of something that says it is Redis 6.2, and agrees to all else."""
    info = b"# Server\r\nredis_version:6.2.14\r\n"

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as stream:
            while head := stream.readline():
                words = [(stream.readline(), stream.readline().strip())[1] for _ in range(int(head[1:]))]
                said = {b"INFO": b"$%d\r\n%s\r\n" % (len(info), info), b"HELLO": b"%1\r\n+proto\r\n:3\r\n"}
                stream.write(said.get(words[0].upper(), b"+OK\r\n"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        yield listener.getsockname()[1]
        server.join(5)


def test_a_redis_that_is_too_old_is_one_line_with_its_version(refused: Refused, old_redis: int) -> None:
    assert "is 6.2.14; Redis 7 or newer, or Valkey, is needed" in refused(
        JOBS_REDIS_URL=f"redis://127.0.0.1:{old_redis}/0"
    )


def test_a_url_with_an_option_is_one_line(refused: Refused) -> None:
    assert "ends with a query" in refused(JOBS_REDIS_URL="redis://127.0.0.1:1/0?no_such=1")


def test_modules_that_cannot_be_imported_are_one_line(refused: Refused) -> None:
    assert "no_such_module" in refused(JOBS_MODULES="no_such_module")


def test_a_data_directory_that_cannot_be_is_one_line(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "JOBS_DATA_DIR names another" in refused(JOBS_DATA_DIR=str(tmp_path / "file"))
