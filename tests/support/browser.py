"""A real browser without a screen: Chromium, told what to do over a pipe by the Chrome DevTools Protocol."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from launch.child import child_options

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. ``directory`` is for its profile and its log."""

    def __init__(self, program: str, directory: Path) -> None:
        ours, its = os.pipe(), os.pipe()
        profile = f"--user-data-dir={directory / 'profile'}"
        # it reads what it is told from 3 and answers on 4; exec because only a shell can move descriptors there
        move = f'exec "$0" "$@" 3<&{ours[0]} 4>&{its[1]}'
        with (directory / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", move, program, *OPTIONS, profile, "about:blank"],
                pass_fds=(ours[0], its[1]),
                stdout=log,
                stderr=log,
                **child_options(),
            )
        os.close(ours[0])
        os.close(its[1])
        self._tell, self._answers = os.fdopen(ours[1], "wb"), os.fdopen(its[0], "rb")
        self._unread, self._calls, self._session = b"", 0, ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._tell, self._answers):
            with suppress(OSError):
                stream.close()

    def go(self, url: str) -> None:
        """Open a page, and wait until it is there."""
        self._call("Page.navigate", url=url)
        ready = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))"
        self.run(f"location.href === {json.dumps(url)} ? {ready} : Promise.reject(location.href)")

    def run(self, script: str) -> Any:
        """The value of a script in the page; of a promise, what it is fulfilled with."""
        answer = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._calls += 1
        session = {"sessionId": self._session} if self._session else {}
        command = {"id": self._calls, "method": method, "params": parameters, **session}
        self._tell.write(json.dumps(command).encode() + b"\0")
        self._tell.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._calls:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            data = os.read(self._answers.fileno(), 65_536)
            assert data, "the browser has ended; browser.log says why"
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer
