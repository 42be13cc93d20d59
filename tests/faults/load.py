"""Clients that submit jobs: at a rate or as fast as they can, each answer counted, everything accepted remembered."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

from faults.client import BROKEN, Answer, Client
from faults.site import Site

GIVE_UP_AFTER = 60.0
LONGEST_PAUSE = 1.0
"""Seconds a client waits before it tries again, whatever Retry-After says."""

Body = dict[str, Any]


class Load:
    """Submits ``bodies``, each once; a context manager that ends when all have been answered.

    Args:
        site: whose web processes take turns; a connection that is refused makes a client go to the next one.
        rate: submits a second; as fast as they can without one.
        keys: send an Idempotency-Key.
        retry: submit again what was answered 503, or not at all.
        keep: use a connection for more than one request.
    """

    def __init__(
        self,
        site: Site,
        bodies: Sequence[Body],
        *,
        clients: int = 4,
        rate: float = 0,
        keys: bool = False,
        retry: bool = False,
        keep: bool = True,
    ) -> None:
        self._site, self._bodies = site, bodies
        self._rate, self._keys, self._retry, self._keep = rate, keys, retry, keep
        self.accepted: dict[str, list[str]] = {}
        """Ids that a 2xx named, by the key of the submit."""
        self.statuses: Counter[str] = Counter()
        self.hasty_503 = 0
        """503 without Retry-After."""
        self.broken: list[str] = []
        """Requests whose connection broke, and how; refused connections are not among them."""
        self.slowest = 0.0
        self.unanswered: list[str] = []
        self._next = iter(range(len(bodies)))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self) -> "Load":
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stopped.set()
        deadline = time.monotonic() + GIVE_UP_AFTER + len(self._bodies) / (self._rate or 50)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        assert kind is not None or not self.running, "the clients do not come to an end"

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    @property
    def ids(self) -> list[str]:
        return [job_id for ids in self.accepted.values() for job_id in ids]

    def stop(self) -> None:
        """Submit nothing more."""
        self._stopped.set()

    def merge(self, other: "Load") -> None:
        """Take another's answers for one's own."""
        self.accepted |= {f"{key} of another": ids for key, ids in other.accepted.items()}
        self.statuses += other.statuses
        self.hasty_503 += other.hasty_503
        self.broken += other.broken

    def _run(self, number: int) -> None:
        clients = {port: Client(port, keep=self._keep) for port in self._site.webs}
        try:
            while not self._stopped.is_set():
                with self._lock:
                    index = next(self._next, None)
                if index is None:
                    return
                if self._rate:
                    self._stopped.wait(max(0.0, self._began + index / self._rate - time.monotonic()))
                self._submit(index, list(clients.values()), number)
        finally:
            for client in clients.values():
                client.close()

    def _submit(self, index: int, clients: list[Client], turn: int) -> None:
        key, deadline = f"key-{index}", time.monotonic() + GIVE_UP_AFTER
        headers = {"Idempotency_Key": key} if self._keys else {}
        while not self._stopped.is_set():
            answer = self._ask(clients[turn % len(clients)], self._bodies[index], headers)
            if answer is not None and self._note(key, answer):
                return
            if (answer is not None and not self._retry) or time.monotonic() > deadline:
                break
            if answer is None and not self._retry:
                break
            turn += 1
            self._stopped.wait(min(LONGEST_PAUSE, (answer and answer.retry_after) or 0.05))
        self.unanswered.append(key)

    def _ask(self, client: Client, body: Body, headers: dict[str, str]) -> Answer | None:
        began = time.monotonic()
        try:
            answer = client.post("/jobs", body, **headers)
        except ConnectionRefusedError:
            return None
        except BROKEN as error:
            with self._lock:
                self.broken.append(f"{type(error).__name__}: {error}")
            return None
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began - float(body.get("wait", 0)))
        return answer

    def _note(self, key: str, answer: Answer) -> bool:
        """Whether it was accepted."""
        with self._lock:
            self.statuses[str(answer.status)] += 1
            if answer.status == 503 and answer.retry_after is None:
                self.hasty_503 += 1
            if answer.status in (200, 202):
                ids = self.accepted.setdefault(key, [])
                job_id = answer.document["id"]
                if job_id not in ids:
                    ids.append(job_id)
        return answer.status in (200, 202, 204)


def uuid_of(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def submit(site: Site, job_type: str = "faults.work", **body: Any) -> str:
    """One job, accepted; its id."""
    with closing(site.client()) as client:
        answer = client.post("/jobs", {"type": job_type, **body})
        assert answer.status in (200, 202), answer.text
        return str(answer.document["id"])
