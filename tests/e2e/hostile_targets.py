"""Targets that mean harm are contained: they fail, and no other does."""

import functools
import gzip
import os
import socket
import threading
import time

from harness import HOST, Exposition, Suite, check, check_equal, main, wait_for

MIB = 1 << 20


class Hostile:
    """Answers every connection with `behave(connection)`."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.socket()
        self.listener.bind((HOST, 0))
        self.listener.listen(16)
        self.address = f"{HOST}:{self.listener.getsockname()[1]}"
        self.closing = False
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while not self.closing:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        try:
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    got = connection.recv(65536)
                    if not got:
                        return
                    request += got
                self.behave(connection)
        except OSError:
            pass

    def close(self):
        self.closing = True
        self.listener.close()


def head(*lines):
    text = "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: text/plain; version=0.0.4", *lines])
    return (text + "\r\n\r\n").encode()


def slow_loris(connection):
    for byte in head() + b"a 1\n" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def never_ending(connection):
    connection.sendall(head())
    line = b"a_metric_that_never_ends 1\n" * 4000
    while True:
        connection.sendall(line)


def one_long_line(connection):
    connection.sendall(head(f"Content-Length: {1 << 30}"))
    piece = b"x" * MIB
    for _ in range(1024):
        connection.sendall(piece)


@functools.cache
def packed_bomb():
    # A layer of it is a hundred thousand times as small.
    return gzip.compress(b"a 1\n" * (1 << 28 >> 2), 9)


def gzip_bomb(connection):
    body = packed_bomb()
    connection.sendall(head("Content-Encoding: gzip", f"Content-Length: {len(body)}") + body)


LARGE = "".join(f"large{{line=\"{i}\"}} 1\n" for i in range(40000))


def large_body(number):
    return f"large_total {number + 1}\n" + LARGE


def bad_chunking(connection):
    connection.sendall(head("Transfer-Encoding: chunked") + b"zz\r\na 1\n\r\n0\r\n\r\n")


def huge_chunk(connection):
    connection.sendall(head("Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFF\r\na 1\n")
    time.sleep(30)


def huge_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Header: " + b"x" * 60000 + b"\r\n")


def redirect_loop(connection):
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\n\r\n")


def too_short(connection):
    connection.sendall(head("Content-Length: 1000") + b"a 1\n")


def no_http(connection):
    connection.sendall(b"\x00\x01\x02 what?\n" * 100)


def binary_body(connection):
    connection.sendall(head() + bytes(range(256)) * 100)


def deep_protobuf(connection):
    body = b"\x0a\xff\xff\xff\xff\x0f" * 1000
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.google.protobuf; "
                       b"proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n\r\n" + body)


BEHAVIOURS = [slow_loris, never_ending, one_long_line, gzip_bomb, bad_chunking, huge_chunk, huge_headers,
              redirect_loop, too_short, no_http, binary_body, deep_protobuf]


def memory_bytes(service):
    with open(f"/proc/{service.process.pid}/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def every_hostile_target_fails_alone():
    good = [Exposition({"/metrics": lambda n: f"scrapes_total {n + 1}\n"}) for _ in range(3)]
    bad = [Hostile(behave) for behave in BEHAVIOURS]
    config = "global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n"
    for name, targets in [("good", good)] + [(b.behave.__name__, [b]) for b in bad]:
        listed = ", ".join(f"'{t.address}'" for t in targets)
        config += f"- job_name: {name}\n  static_configs: [{{targets: [{listed}]}}]\n"
    with Suite(config) as suite:
        for thing in good + bad:
            suite.own(thing)
        suite.add("scraper", flags=["--scrape.max-body-size=64MB"])
        suite.start("ingester", "querier", "scraper")
        time.sleep(float(os.environ.get("NARTHEX_E2E_HOSTILE", "15")))
        targets = suite.api("/targets")["activeTargets"]
        check_equal(len(targets), 3 + len(bad), "targets")
        for target in targets:
            job = target["scrapePool"]
            wanted = "up" if job == "good" else "down"
            check_equal((job, target["health"]), (job, wanted), f"health, error {target['lastError']!r}")
            check(bool(target["lastError"]) == (job != "good"), f"{job}: {target['lastError']!r}")
            check(len(target["lastError"]) < 2000, f"{job}: an error of {len(target['lastError'])} bytes")
            check(target["lastScrapeDuration"] < 3, f"{job}: took {target['lastScrapeDuration']}s")
        check_equal(len(suite.query('up == 0')), len(bad), "targets that are down")
        check_equal(len(suite.query('count({__name__=~".+", job!="good"}) by (job) > 5')), 0, "jobs with more than the reports")
        # Nobody else misses a scrape.
        for exporter in good:
            now = time.time()
            values = suite.query(f'scrapes_total{{instance="{exporter.address}"}}[10s]', now)[0]["values"]
            check(len(values) >= 4, f"{len(values)} scrapes in 10s of {exporter.address}")
            check_equal(float(values[-1][1]) - float(values[0][1]), len(values) - 1.0, "no scrape missing")
        peak = memory_bytes(suite.scraper)
        check(peak < 400 * MIB, f"the scraper took {peak / MIB:.0f} MiB")
        print(f"        peak of the scraper's memory: {peak / MIB:.0f} MiB")
        check_equal(suite.scraper.stop(), 0, "exit status")


def many_large_bodies_have_one_bound():
    """Twelve streams without an end and eight bombs, which each may take as much as one body may."""
    small = [Exposition({"/metrics": lambda n: f"scrapes_total {n + 1}\n"}) for _ in range(3)]
    large = Exposition({"/metrics": large_body})
    bad = [Hostile(behave) for behave in [never_ending] * 12 + [gzip_bomb] * 8]
    config = "global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n"
    for name, targets in [("good", small + [large]), ("bad", bad)]:
        listed = ", ".join(f"'{t.address}'" for t in targets)
        config += f"- job_name: {name}\n  static_configs: [{{targets: [{listed}]}}]\n"
    with Suite(config) as suite:
        for thing in small + [large] + bad:
            suite.own(thing)
        suite.add("scraper", flags=["--scrape.max-bodies-memory=100MB"])
        suite.start("ingester", "querier", "scraper")
        time.sleep(float(os.environ.get("NARTHEX_E2E_HOSTILE", "15")))
        for target in suite.api("/targets")["activeTargets"]:
            job = target["scrapePool"]
            check_equal((job, target["health"]), (job, "up" if job == "good" else "down"), f"health, error {target['lastError']!r}")
        errors = {t["lastError"] for t in suite.api("/targets")["activeTargets"] if t["scrapePool"] == "bad"}
        check(any(e.startswith("no room for the body: all bodies under way hold") for e in errors), f"errors {errors}")
        refused = suite.scraper.metric("narthex_scraper_bodies_refused_total ")
        check(refused > 10, f"{refused} bodies refused")
        check_equal(suite.scraper.metric("narthex_scraper_bodies_limit_bytes "), 100.0 * MIB, "bound")
        for exporter, name in [(e, "scrapes_total") for e in small] + [(large, "large_total")]:
            found = suite.query(f'{name}{{instance="{exporter.address}"}}[10s]')[0]["values"]
            check(len(found) >= 4, f"{len(found)} scrapes in 10s of {name} at {exporter.address}")
            check_equal(float(found[-1][1]) - float(found[0][1]), len(found) - 1.0, "no scrape missing")
        peak = memory_bytes(suite.scraper)
        check(peak < 300 * MIB, f"the scraper took {peak / MIB:.0f} MiB")
        print(f"        peak of the scraper's memory: {peak / MIB:.0f} MiB")
        check_equal(suite.scraper.stop(), 0, "exit status")


if __name__ == "__main__":
    main(every_hostile_target_fails_alone, many_large_bodies_have_one_bound)
