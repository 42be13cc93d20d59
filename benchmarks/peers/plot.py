"""``python -m benchmarks.peers.plot FILE``: requests a second by system, as bars in a PNG.

The figures come on stdin as JSON: system -> connections -> requests a second.
"""

import json
import sys

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot


def main(file: str, rates: dict[str, dict[str, float]]) -> None:
    """One group of bars for each number of connections, one bar in it for each system."""
    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    width = 0.8 / len(rates)
    for n, (system, by_connections) in enumerate(rates.items()):
        at = [group + (n - (len(rates) - 1) / 2) * width for group in range(len(by_connections))]
        bars = axes.bar(at, list(by_connections.values()), width, label=system)
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    connections = list(next(iter(rates.values())))
    axes.set_xticks(range(len(connections)), connections)
    axes.set_xlabel("connections")
    axes.set_ylabel("requests/s, from request to result")
    axes.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main(sys.argv[1], json.load(sys.stdin))
