"""Row 4: ``kill -9`` of web processes while clients submit with an Idempotency-Key, and try again."""

import contextlib
import os
import signal
import time

from faults.evidence import gather, settle
from faults.load import Body, Load
from faults.outcome import Bench, Outcome, Row
from faults.site import Site, children_of

BODY: Body = {"type": "faults.work", "parameters": {"seconds": 0.005}}
RATE = 150.0


def run(bench: Bench) -> Outcome:
    """Two web processes, killed in turn: the whole of one, or the gunicorn worker in it."""
    count = bench.size(5_000, 1_000)
    kills = 0
    with Site(bench.room("site")) as site:
        site.start(workers=1)
        site.start_web()
        with Load(site, [BODY] * count, rate=RATE, keys=True, retry=True, clients=8) as load:
            while load.running:
                time.sleep(bench.chance.uniform(0.2, 1.0))
                _kill(site, bench.chance.choice(list(site.webs)), bench.chance.random() < 0.5)
                kills += 1
        settle(site)
        evidence = gather(site, load, keys_were_sent=True)
    outcome = Outcome(faults=f"{kills} x web process").judge(evidence)
    outcome.notes.append(f"{len(load.broken)} requests lost their connection, and were sent again")
    outcome.require(load.broken, "no request met a kill: nothing was tried")
    return outcome.require(len(evidence.records) == count, f"{len(evidence.records)} jobs of {count} submits")


def _kill(site: Site, port: int, whole: bool) -> None:
    web = site.webs[port]
    if whole:
        web.kill()
        site.start_web(port=port)
        return
    for child in children_of(web):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)


def twin(bench: Bench) -> Outcome:
    """No Idempotency-Key, and a web process that dies between accepting and answering."""
    with Site(bench.room("twin")) as site:
        site.start_web("faults.crashing", "submit-after", "web")
        site.start_worker()
        site.wait_for_types()
        with Load(site, [BODY] * 30, rate=20, retry=True, clients=1) as load:
            pass
        settle(site)
        return Outcome().judge(gather(site, load, keys_were_sent=True))


ROW = Row(
    "4",
    "5,000 submits with Idempotency-Key, clients retry: kill -9 of web processes",
    run,
    twin_is="no key",
    twin=twin,
    twin_breaks="I6",
    beside="crashes",
)
