#!/usr/bin/env python3
"""Measures one scraper with many small targets.

    tests/bench/many_targets.py [--targets 10000] [--interval 15s] [--seconds 60]

Every target is an address of its own on the loopback network, answered by one
process, which counts what comes. Prints the scraper's CPU, its memory before
and after the targets came, and how late scrapes began.
"""

import argparse
import asyncio
import multiprocessing
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from harness import Suite, free_port, get, wait_for  # noqa: E402


def serve(port, series, count=None):
    """Answers any request on any address with the same page, counting them."""
    lines = "".join(f'bench_metric_{n % 10}_total{{path="/api/{n}",code="200"}} {n}\n' for n in range(series))
    body = lines.encode()
    answer = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
              % len(body)) + body

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            for _ in range(data.count(b"\r\n\r\n")):
                if count is not None:
                    count.value += 1
                self.transport.write(answer)

    async def run():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Protocol, "0.0.0.0", port, backlog=4096)
        await server.serve_forever()
    asyncio.run(run())


def address(n, port):
    return f"127.{1 + n // 60000}.{n // 250 % 240}.{1 + n % 250}:{port}"


def usage(pid):
    """CPU seconds and resident bytes."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    with open(f"/proc/{pid}/statm") as f:
        return cpu, int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def buckets(port, name):
    found = {}
    for bound, count in re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\S+)$', get(port, "/metrics").text, re.M):
        found[float(bound)] = float(count)
    return found


def quantile(before, after, q):
    """The upper bound of the bucket that holds the quantile."""
    total = after[float("inf")] - before[float("inf")]
    for bound in sorted(after):
        if after[bound] - before[bound] >= q * total:
            return bound
    return float("inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--interval", type=int, default=15, help="seconds")
    parser.add_argument("--series", type=int, default=0, help="of each target, beside the reports")
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure")
    arguments = parser.parse_args()
    port = free_port()
    exporter = multiprocessing.Process(target=serve, args=(port, arguments.series), daemon=True)
    exporter.start()
    head = (f"global: {{scrape_interval: {arguments.interval}s}}\nscrape_configs:\n"
            "- job_name: many\n  static_configs:\n  - targets:\n")
    try:
        with Suite(head + "    []\n") as suite:
            suite.start("ingester", "scraper")
            scraper, ingester = suite.scraper, suite.ingester
            empty = usage(scraper.process.pid)[1]
            suite.write("prometheus.yml", head + "".join(
                f"    - '{address(n, port)}'\n" for n in range(arguments.targets)))
            get(scraper.port, "/-/healthy")
            begin = time.time()
            scraper.signal(1)
            wait_for("all targets", lambda: scraper.metric("prometheus_target_scrape_pool_targets{") ==
                     arguments.targets, 60)
            print(f"targets known after       {time.time() - begin:8.2f} s")
            # All have been scraped twice.
            time.sleep(2 * arguments.interval + 2)
            lag = buckets(scraper.port, "narthex_scraper_scrape_lag_seconds")
            scrapes, late = (scraper.metric(f"narthex_scraper_scrapes{x}_total ") for x in ("", "_late"))
            cpu, _ = usage(scraper.process.pid)
            ingester_cpu, _ = usage(ingester.process.pid)
            time.sleep(arguments.seconds)
            cpu = usage(scraper.process.pid)[0] - cpu
            ingester_cpu = usage(ingester.process.pid)[0] - ingester_cpu
            done = scraper.metric("narthex_scraper_scrapes_total ") - scrapes
            late = scraper.metric("narthex_scraper_scrapes_late_total ") - late
            failed = scraper.metric("narthex_scraper_scrapes_failed_total ")
            after = buckets(scraper.port, "narthex_scraper_scrape_lag_seconds")
            resident = usage(scraper.process.pid)[1]
            print(f"scrapes                   {done:8.0f}   ({done / arguments.seconds:.0f}/s, "
                  f"wanted {arguments.targets / arguments.interval:.0f}/s; {late:.0f} late, {failed:.0f} failed)")
            print(f"CPU of the scraper        {100 * cpu / arguments.seconds:8.1f} % of a core "
                  f"({1e6 * cpu / max(done, 1):.0f} us a scrape)")
            print(f"CPU of the ingester       {100 * ingester_cpu / arguments.seconds:8.1f} % of a core")
            print(f"memory of the scraper     {resident / 2**20:8.1f} MiB, {empty / 2**20:.1f} without targets: "
                  f"{(resident - empty) / 1024 / arguments.targets:.1f} KiB a target")
            for q in (0.5, 0.99, 0.999):
                print(f"lag, quantile {q:<5}       {1000 * quantile(lag, after, q):8.0f} ms at most")
    finally:
        exporter.terminate()
        exporter.join()


if __name__ == "__main__":
    main()
