"""A worker whose grace is over ends, whatever goes wrong with what still runs there."""

import subprocess
import sys

import pytest
from support.processes import ROOT, clean_environ

SCRIPT = """
import subprocess, sys, time
from types import SimpleNamespace
from celery.worker import state
from workers.request import JobRequest
from workers.shutdown import Shutdown

class Recovery:
    def give_back(self, job_id, holder):
        raise RuntimeError(f"a bug with {job_id}")

class Running(JobRequest):
    id, holder, process = "a job", "somebody", None
    def __init__(self): pass

class Broken(Running):
    @property
    def process(self): raise RuntimeError("a bug with a process")

running = Running() if sys.argv[1] == "running" else Broken()
if sys.argv[1] == "running":
    running.process = subprocess.Popen(["sleep", "60"]).pid
state.active_requests.add(running)
app = SimpleNamespace(settings=SimpleNamespace(grace=0.01), backend=SimpleNamespace(recovery=Recovery()))
Shutdown(app).begin("Warm")
time.sleep(10)
sys.exit("it goes on")
"""


@pytest.mark.parametrize(("kind", "said"), [("running", "a bug with a job"), ("broken", "a bug with a process")])
def test_it_ends_with_the_processes_of_its_jobs(kind: str, said: str) -> None:
    line = [sys.executable, "-c", SCRIPT, kind]
    # it is waited for until nobody has its output open any more, a process of a job neither
    done = subprocess.run(line, env=clean_environ(), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
