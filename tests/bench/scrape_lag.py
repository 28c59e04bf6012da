#!/usr/bin/env python3
"""Measures how late scrapes begin, and whether any is missed.

    tests/bench/scrape_lag.py [--seconds 60] [--shapes 100x1000@1 500x1000@5 5000x100@10]

The shapes (targets x series @ seconds between scrapes) are those of the
benches of ingestion. Lag is the scraper's own histogram of the time from when a
scrape was planned to when it began (narthex_scraper_scrape_lag_seconds), by the
bound of the bucket that holds the quantile. Prometheus has no such figure;
both tell the actual intervals (prometheus_target_interval_length_seconds), so
those of Prometheus are printed beside ours where it is installed. Scrapes are
counted by the targets, in one process that answers on an address for each.
"""

import argparse
import multiprocessing
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import many_targets  # noqa: E402
from harness import HOST, PEERS, Suite, free_port, get, wait_for  # noqa: E402

LAG = "narthex_scraper_scrape_lag_seconds"


def intervals(port):
    """The 1st, 50th and 99th hundredth of the time between scrapes."""
    found = dict(re.findall(r'^prometheus_target_interval_length_seconds{interval="[^"]+",quantile="([^"]+)"} (\S+)$',
                            get(port, "/metrics").text, re.M))
    return [float(found.get(q, "nan")) for q in ("0.01", "0.5", "0.99")]


def start(suite, system):
    """Starts what scrapes; the port that tells of it."""
    if system == "narthex":
        suite.start("ingester", "scraper")
        return suite.scraper.port
    port = free_port()
    suite.peer("prometheus", [os.path.join(PEERS, "prometheus"), f"--config.file={suite.config}",
                              f"--web.listen-address={HOST}:{port}", f"--storage.tsdb.path={suite.folder}/peer"],
               port).start()
    return port


def report(system, shape, config, scrapes, seconds):
    targets, _, interval = shape
    with Suite(config) as suite:
        port = start(suite, system)
        pool = suite.services["scraper" if system == "narthex" else system]
        wait_for("all targets", lambda: pool.metric("prometheus_target_scrape_pool_targets{") == targets, 60)
        time.sleep(2 * interval + 2)
        before, count = many_targets.buckets(port, LAG), scrapes.value
        begin = time.time()
        time.sleep(seconds)
        count, passed = scrapes.value - count, time.time() - begin
        after = many_targets.buckets(port, LAG)
        low, middle, high = intervals(port)
    wanted = targets * passed / interval
    line = (f"{system:<11} {count:7d} scrapes ({100 * count / wanted:5.1f} % of the plan)   intervals p1 {low:.3f} "
            f"p50 {middle:.3f} p99 {high:.3f} s")
    if before:
        line += "   lag at most " + ", ".join(
            f"{name} {1000 * many_targets.quantile(before, after, q):.0f}"
            for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1))) + " ms"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", default=["100x1000@1", "500x1000@5", "5000x100@10"])
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure each")
    arguments = parser.parse_args()
    systems = ["narthex"] + ["prometheus"] * os.path.exists(os.path.join(PEERS, "prometheus"))
    for text in arguments.shapes:
        shape = targets, series, interval = [int(n) for n in re.fullmatch(r"(\d+)x(\d+)@(\d+)", text).groups()]
        port, scrapes = free_port(), multiprocessing.Value("q", 0)
        exporter = multiprocessing.Process(target=many_targets.serve, args=(port, series, scrapes), daemon=True)
        exporter.start()
        print(f"{targets} targets of {series} series every {interval} s")
        config = (f"global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}\nscrape_configs:\n"
                  "- job_name: many\n  static_configs:\n  - targets:\n" + "".join(
                      f"    - '{many_targets.address(n, port)}'\n" for n in range(targets)))
        try:
            for system in systems:
                report(system, shape, config, scrapes, arguments.seconds)
        finally:
            exporter.terminate()
            exporter.join()


if __name__ == "__main__":
    main()
