"""Row 10: jobs that kill their process, crash it, eat its memory or never end, among good ones."""

from faults.evidence import gather, settle
from faults.load import Body, Load, submit
from faults.outcome import Bench, Outcome, Row
from faults.site import Site

POISON = ("demo.crash", "faults.segfault", "demo.memory", "faults.loop")
REASONS = {
    "demo.crash": "worker-lost",
    "faults.segfault": "worker-lost",
    "demo.memory": "memory-limit",
    "faults.loop": "time-limit",
}
MEMORY = 300 * 1024 * 1024
GOOD = "faults.work"


def bodies(bench: Bench) -> list[Body]:
    poison, count = bench.size(50, 20), bench.size(5_000, 600)
    made: list[Body] = [{"type": POISON[n % len(POISON)]} for n in range(poison)]
    made += [{"type": GOOD, "parameters": {"seconds": 0.01}} for _ in range(count - poison)]
    bench.chance.shuffle(made)
    return made


def run(bench: Bench) -> Outcome:
    """All poison is Failed for its own reason; all good jobs are Completed by their first attempt."""
    submits = bodies(bench)
    with Site(bench.room("site"), JOBS_MAX_MEMORY=str(MEMORY)) as site:
        site.start(workers=2)
        with Load(site, submits) as load:
            pass
        settle(site)
        evidence = gather(site, load)
    poison = sum(body["type"] != GOOD for body in submits)
    outcome = Outcome(faults=f"{poison} x poison").judge(evidence)
    for job_id, document in evidence.documents.items():
        expected = ("Completed", None) if document["type"] == GOOD else ("Failed", REASONS[document["type"]])
        found = (document["status"], (document["error"] or {}).get("type"))
        outcome.require(found == expected, f"{document['type']} is {found}, not {expected}", job_id)
        if document["type"] == GOOD:
            outcome.require(document["attempt"] == 1, f"a good job needed {document['attempt']} attempts", job_id)
    return outcome


def twin(bench: Bench) -> Outcome:
    """No bound on attempts, as stock Celery's requeue has none."""
    with Site(bench.room("twin")) as site:
        site.start(workers=1)
        ids = [submit(site, "faults.undying")]
        settle(site, within=5)
        return Outcome().judge(gather(site, ids=ids))


ROW = Row(
    "10",
    "1 poison job per 100 good ones",
    run,
    twin_is="no bound on attempts",
    twin=twin,
    twin_breaks="I1",
    twin_in_short=True,
    beside="load",
)
