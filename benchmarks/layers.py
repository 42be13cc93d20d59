"""``python -m benchmarks.layers``: where a no-op job's CPU time goes in the web process and the worker, by layer.

Both run under :mod:`benchmarks.sampler`, with 16 connections. A sample goes to the layer of its innermost frame that
any layer names, so that the standard library and gevent's sockets count for their caller. How much CPU time a job takes
is measured before, without the sampler. The table goes to stdout as Markdown.
"""

import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.posting import post
from benchmarks.systems import Ours

CONNECTIONS = 16
WARM_UP, JOBS = 1_500, 8_000

ELSE = "all else"
LAYERS = {
    "web": {
        "HTTP: gunicorn": ("gunicorn/", "app/server.py", "app/parking.py", "app/body_timeout.py"),
        "Flask, werkzeug, flask-smorest": ("flask/", "werkzeug/", "flask_smorest/"),
        "reading and checking the request": (
            *("app/request_parser.py", "app/strict_json.py", "app/prefer.py", "app/parameters.py", "app/schemas.py"),
            *("app/proxies.py", "app/pressure.py", "marshmallow/", "webargs/", "jobs/store/announced.py"),
        ),
        "building job and message": ("jobs/messages/", "jobs/model/submission.py"),
        "Redis client": ("redis/", "jobs/connections/"),
        "waiting and its wake-up": ("app/waiting.py", "app/later.py", "jobs/results/", "celery/"),
        "record and answer": ("jobs/", "app/"),
    },
    "worker": {
        "Redis client": ("redis/", "jobs/connections/"),
        "pool and its pipes": ("billiard/", "celery/concurrency/", "workers/prefork.py"),
        "kombu's transport and messages": (
            *("kombu/transport/", "kombu/messaging.py", "kombu/message.py", "kombu/utils/json.py"),
            "jobs/messages/",
        ),
        "Celery's loop and requests": ("kombu/", "celery/worker/", "workers/request.py", "workers/consumer.py"),
        "Celery's tracing of a task": ("celery/",),
        "claim, run, result": ("jobs/", "workers/"),
    },
}
"""By process: files of a layer, as their paths begin below site-packages or the project; the first match counts."""

_FILE = re.compile(r" \(([^()]+?)(?::\d+)?\)$")


def by_layer(raw: str, layers: dict[str, tuple[str, ...]]) -> Counter[str]:
    """Samples of each layer in lines such as ``outer (file:1);inner (file:2) 7``."""
    samples: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        found = (_layer_of(frame, layers) for frame in reversed(stack.split(";")))
        samples[next(filter(None, found), ELSE)] += int(count)
    return samples


def table(samples: dict[str, Counter[str]], seconds_a_job: dict[str, float]) -> str:
    """Share and microseconds of each layer; a process without samples gets its sum only."""
    lines = ["| process | layer | share | µs a job |", "|---|---|---:|---:|"]
    for process, seconds in seconds_a_job.items():
        lines.append(f"| **{process}** | all | 100 % | {seconds * 1e6:.0f} |")
        of_layer = samples.get(process, Counter())
        for layer, count in of_layer.most_common():
            share = count / of_layer.total()
            lines.append(f"| {process} | {layer} | {share:.0%} | {share * seconds * 1e6:.0f} |".replace("%", " %"))
    return "\n".join(lines)


class Sampled(Ours):
    """Ours, its samples in a file for each process."""

    def samples(self, process: str) -> Path:
        return self._directory / f"{process}.samples"

    def web_arguments(self, port: int) -> list[str]:
        return ["benchmarks.sampler", str(self.samples("web")), *super().web_arguments(port)]

    def worker_arguments(self) -> list[str]:
        return ["benchmarks.sampler", str(self.samples("worker")), *super().worker_arguments()]


def main() -> None:
    """Measure, sample, print."""
    with TemporaryDirectory(prefix="layers-") as directory:
        with Ours(Path(directory) / "plain") as system:
            post(system.port, WARM_UP, CONNECTIONS)
            before = system.cpu_seconds()
            post(system.port, JOBS, CONNECTIONS)
            seconds_a_job = {name: (seconds - before[name]) / JOBS for name, seconds in system.cpu_seconds().items()}
        with Sampled(Path(directory) / "sampled") as system:
            post(system.port, WARM_UP, CONNECTIONS)
            started = {name: system.samples(name).stat().st_size for name in LAYERS}
            post(system.port, JOBS, CONNECTIONS)
            raw = {name: system.samples(name).read_bytes()[started[name] :].decode() for name in LAYERS}
    print(table({name: by_layer(raw[name], LAYERS[name]) for name in LAYERS}, seconds_a_job))


def _layer_of(frame: str, layers: dict[str, tuple[str, ...]]) -> str | None:
    found = _FILE.search(frame)
    return next((layer for layer, files in layers.items() if found and found[1].startswith(files)), None)


if __name__ == "__main__":
    main()
