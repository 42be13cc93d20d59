"""``python -m benchmarks.peers.curves FILE``: times by jobs stored, and jobs a second by worker processes, as a PNG.

The figures come on stdin as JSON: ``server``, ``stored`` and, by call, ``calls`` and ``none_stored`` (milliseconds, the
second of the system beside it); ``processes`` and, by kind of job, ``rates``.
"""

import json
import sys
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot


def main(file: str, figures: dict[str, Any]) -> None:
    """Two diagrams, one beside the other."""
    drawing, (times, rates) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    stored = [f"{number:,}" for number in figures["stored"]]
    for call, milliseconds in figures["calls"].items():
        (line,) = times.plot(stored, milliseconds, marker="o", label=call)
        times.plot(stored, figures["none_stored"][call], linestyle=":", color=line.get_color())
    times.set_ylim(bottom=0)
    times.set_title(figures["server"], fontsize=9)
    times.set_xlabel("jobs stored (dotted: none, at the same time)")
    times.set_ylabel("ms, median, one connection")
    times.legend(fontsize=8)
    for kind, by_processes in figures["rates"].items():
        to_one = [rate / by_processes[0] for rate in by_processes]
        rates.plot(figures["processes"], to_one, marker="o", label=kind)
        for *at, rate in zip(figures["processes"], to_one, by_processes, strict=True):
            rates.annotate(f"{rate:.0f}/s", at, textcoords="offset points", xytext=(0, 6), ha="center", fontsize=8)
    rates.set_ylim(bottom=0)
    rates.set_xticks(figures["processes"])
    rates.set_xlabel("worker processes")
    rates.set_ylabel("jobs/s to those of one process, 16 connections")
    rates.legend(fontsize=8)
    drawing.savefig(file, dpi=120)


if __name__ == "__main__":
    main(sys.argv[1], json.load(sys.stdin))
