"""A sample of py-spy counts for the innermost frame that a layer names."""

import subprocess
import sys
from pathlib import Path

from benchmarks.layers import ELSE, by_layer, table
from benchmarks.process import ROOT

LAYERS = {"client": ("redis/",), "loop": ("celery/",)}


def test_the_standard_library_counts_for_its_caller() -> None:
    raw = "work (celery/worker.py:3);send (redis/client.py:9);dumps (json/__init__.py:7) 5\n"
    assert by_layer(raw, LAYERS) == {"client": 5}


def test_what_no_layer_names_is_all_else() -> None:
    raw = 'process 7:"python -m app";main (app.py:1) 2\nmain (app.py:1);loop (celery/worker.py) 1\n'
    assert by_layer(raw, LAYERS) == {ELSE: 2, "loop": 1}


def test_microseconds_are_the_share_of_what_the_process_takes() -> None:
    rows = table({"worker": by_layer("loop (celery/a.py:1) 3\nask (redis/b.py:1) 1", LAYERS)}, {"worker": 800e-6})
    assert "| worker | loop | 75 % | 600 |" in rows
    assert "| worker | client | 25 % | 200 |" in rows


def test_the_sampler_notes_work_and_no_waiting(tmp_path: Path) -> None:
    work = "import time; time.sleep(0.5); until = time.process_time() + 0.2\nwhile time.process_time() < until: pass"
    (tmp_path / "busy.py").write_text(work)
    file = tmp_path / "samples"
    command = [sys.executable, "-m", "benchmarks.sampler", str(file), "busy"]
    subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, check=True, timeout=30)
    lines = file.read_text().splitlines()
    assert sum("busy.py:2) 1" in line for line in lines) >= 5
    assert not any("busy.py:1) 1" in line for line in lines)
