"""All benchmarks, one after the other, with their goals: `make bench`. Nothing else should be busy meanwhile."""

from __future__ import annotations

from bench import at_rest, console, containers, dashboards, ingest, rules, scrape, storm, webhook_ack
from bench.measure import print_rows

if __name__ == "__main__":
    for benchmark in (ingest, scrape, rules, dashboards, at_rest, webhook_ack, storm, console, containers):
        print_rows(benchmark.rows())
