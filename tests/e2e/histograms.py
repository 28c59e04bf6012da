"""Native histograms and exemplars, written and scraped, give the answers that Prometheus gives."""

import http.server
import json
import os
import random
import struct
import threading
import time

from compliance import difference
from harness import (
    HOST, Suite, _bytes_field, _varint, check, check_equal, free_port, get, main, need_peer, request,
    snappy_block, wait_for)
from promql_random import HistogramGenerator

STEP_MS = 15_000
STEPS = 80
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
STALE_BYTES = struct.pack("<Q", 0x7FF0000000000002)


# ------------------------------------------------------------------- messages


def zigzag(n):
    return _varint((n << 1) ^ (n >> 63))


def number(field, value):
    return _varint(field << 3) + _varint(value)


def double(field, value):
    return _varint(field << 3 | 1) + (STALE_BYTES if value is STALE else struct.pack("<d", value))


def spans(field, pairs):
    return b"".join(_bytes_field(field, _varint(1 << 3) + zigzag(o) + number(2, n)) for o, n in pairs)


def packed(field, values, encode):
    return _bytes_field(field, b"".join(encode(v) for v in values)) if values else b""


def deltas(counts):
    return [b - a for a, b in zip([0] + counts, counts)]


class Histogram:
    """Counts by bucket, as spans and counts; `kind` is int, float or gauge."""

    def __init__(self, kind, schema, positive, negative=None, zero=0, total=0.0, threshold=1e-3, bounds=(), reset=0):
        self.kind, self.schema, self.zero, self.sum = kind, schema, zero, total
        self.positive, self.negative = positive, negative or {}
        self.threshold, self.bounds = threshold, bounds
        self.reset = 3 if kind == "gauge" else reset

    @property
    def count(self):
        return self.zero + sum(self.positive.values()) + sum(self.negative.values())

    @staticmethod
    def layout(buckets):
        pairs, end = [], 0
        for index in sorted(buckets):
            if pairs and index == end:
                pairs[-1][1] += 1
            else:
                pairs.append([index - end, 1])
            end = index + 1
        return pairs, [buckets[i] for i in sorted(buckets)]

    def written(self, timestamp):
        """prometheus.Histogram, the same in both versions."""
        fraction = self.kind == "float"
        p_spans, p = self.layout(self.positive)
        n_spans, n = self.layout(self.negative)
        out = double(2, self.count) if fraction else number(1, self.count)
        out += double(3, self.sum) + _varint(4 << 3) + zigzag(self.schema) + double(5, self.threshold)
        out += double(7, self.zero) if fraction else number(6, self.zero)
        out += spans(8, n_spans) + spans(11, p_spans)
        if fraction:
            out += packed(10, n, lambda v: struct.pack("<d", v)) + packed(13, p, lambda v: struct.pack("<d", v))
        else:
            out += packed(9, deltas(n), zigzag) + packed(12, deltas(p), zigzag)
        out += number(14, self.reset) + number(15, timestamp)
        return out + packed(16, self.bounds, lambda v: struct.pack("<d", v))

    def exposed(self, exemplars=()):
        """io.prometheus.client.Histogram with a classic part."""
        p_spans, p = self.layout(self.positive)
        n_spans, n = self.layout(self.negative)
        out = number(1, self.count) + double(2, self.sum)
        for bound, share in ((0.5, 3), (5.0, 2)):
            out += _bytes_field(3, number(1, self.count // share) + double(2, bound))
        out += _varint(5 << 3) + zigzag(self.schema) + double(6, self.threshold) + number(7, self.zero)
        out += spans(9, n_spans) + packed(10, deltas(n), zigzag)
        out += spans(12, p_spans) + packed(13, deltas(p), zigzag)
        for trace, value, timestamp in exemplars:
            stamp = number(1, timestamp // 1000) + number(2, timestamp % 1000 * 1_000_000)
            out += _bytes_field(16, label("trace_id", trace) + double(2, value) + _bytes_field(3, stamp))
        return out


def stale(kind, timestamp):
    return (double(2, 0.0) if kind == "float" else number(1, 0)) + double(3, STALE) + number(15, timestamp)


def label(name, value):
    return _bytes_field(1, _bytes_field(1, name.encode()) + _bytes_field(2, value.encode()))


def sample(timestamp, value):
    return double(1, value) + number(2, timestamp)


class V1:
    """prometheus.WriteRequest."""
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
               "X-Prometheus-Remote-Write-Version": "0.1.0"}

    def __init__(self):
        self.body = b""

    def add(self, labels, samples=(), histograms=(), exemplars=()):
        out = b"".join(label(k, v) for k, v in sorted(labels.items()))
        out += b"".join(_bytes_field(2, s) for s in samples)
        for trace, value, timestamp in exemplars:
            out += _bytes_field(3, label("trace_id", trace) + double(2, value) + number(3, timestamp))
        out += b"".join(_bytes_field(4, h) for h in histograms)
        self.body += _bytes_field(1, out)
        return self

    def message(self):
        return self.body


class V2:
    """io.prometheus.write.v2.Request."""
    headers = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
               "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "2.0.0"}

    def __init__(self):
        self.symbols, self.body = [""], b""

    def symbol(self, text):
        if text not in self.symbols:
            self.symbols.append(text)
        return self.symbols.index(text)

    def refs(self, labels):
        return packed(1, [self.symbol(t) for pair in sorted(labels.items()) for t in pair], _varint)

    def add(self, labels, samples=(), histograms=(), exemplars=()):
        out = self.refs(labels)
        out += b"".join(_bytes_field(2, s) for s in samples)
        out += b"".join(_bytes_field(3, h) for h in histograms)
        for trace, value, timestamp in exemplars:
            out += _bytes_field(4, self.refs({"trace_id": trace}) + double(2, value) + number(3, timestamp))
        out += _bytes_field(5, number(1, 3) + number(3, self.symbol("help of it")))
        self.body += _bytes_field(5, out)
        return self

    def message(self):
        return b"".join(_bytes_field(4, s.encode()) for s in self.symbols) + self.body


def write(port, message):
    return request(port, "POST", "/api/v1/write", snappy_block(message.message()), message.headers)


# ----------------------------------------------------------------------- data


class Source:
    """A histogram that observes at random, and now and then starts anew."""

    def __init__(self, rand, kind, schema, bounds=()):
        self.rand, self.kind, self.schema, self.bounds = rand, kind, schema, bounds
        self.clear()

    def clear(self):
        """Anew, but from so many observations that rates are not extrapolated to zero: since 3.7 that is done for
        histograms, too (prometheus/prometheus#16192), which 3.5 does not do."""
        self.positive, self.negative, self.zero, self.sum = {0: 900, 1: 1200}, {}, 0, 700.0

    def observe(self):
        if self.rand.random() < 0.04:
            self.clear()
        for _ in range(self.rand.randrange(0, 12)):
            if self.bounds:
                index = self.rand.randrange(len(self.bounds) + 1)
                self.positive[index] = self.positive.get(index, 0) + 1
                self.sum += index
                continue
            where = self.rand.random()
            if where < 0.1:
                self.zero += 1
                continue
            side = self.positive if where < 0.8 else self.negative
            index = int(self.rand.gauss(4, 3))
            side[index] = side.get(index, 0) + 1
            self.sum += 2.0 ** (index * 2.0 ** -self.schema) * (1 if side is self.positive else -1)
        if self.kind == "gauge" and self.positive and self.rand.random() < 0.5:
            self.positive.pop(self.rand.choice(list(self.positive)))

    def value(self):
        scale = 0.5 if self.kind == "float" else 1
        return Histogram(
            self.kind, -53 if self.bounds else self.schema,
            {i: n * scale for i, n in self.positive.items()}, {i: n * scale for i, n in self.negative.items()},
            self.zero * scale, self.sum, 0.0 if self.bounds else 1e-3, self.bounds)


def sources(rand):
    bounds = (0.5, 1.0, 2.0, 4.0)
    made = []
    for i, (kind, schema, custom) in enumerate([
            ("int", 2, ()), ("int", 0, ()), ("int", 3, ()), ("float", 1, ()), ("float", 2, ()), ("gauge", 2, ()),
            ("int", 0, bounds), ("float", 0, bounds)]):
        name = "sizes" if custom else "temperatures" if kind == "gauge" else "latency"
        made.append(({"__name__": name, "job": kind, "i": str(i)}, Source(rand, kind, schema, custom)))
    return made


INSTANT = [
    "latency", "sizes", "temperatures", "{job=~'.+'}", "sum(latency{job='int'})", "sum by (job) (latency)", "avg(latency)",
    "histogram_count(latency)", "histogram_sum(latency)", "histogram_avg(latency)",
    "histogram_quantile(0.9, rate(latency[5m]))", "histogram_quantile(0.5, sum(rate(latency[5m])))",
    "histogram_fraction(0, 2, latency)", "rate(latency[5m])", "increase(latency[10m])", "rate(sizes[5m])",
    "histogram_quantile(0.9, sizes)", "delta(temperatures[5m])", "avg_over_time(latency[5m])",
    "sum_over_time(sizes[3m])", "last_over_time(latency[5m])", "count_over_time(latency[10m])", "resets(latency[20m])",
    "changes(latency[20m])", "latency * 2", "latency / 4", "latency[2m]", "sizes[1m]", "mixed", "mixed[5m]",
    "count_over_time(mixed[20m])", "absent(latency)", "present_over_time(latency[5m])", "histogram_stddev(latency)",
    "count(latency)", "group(latency)", "topk(1, latency)", "latency == latency", "latency offset 5m",
    "histogram_quantile(0.9, sum by (job) (rate(latency[10m])))",
]
RANGE = ["latency", "sizes", "temperatures", "mixed", "rate(latency[2m])", "histogram_quantile(0.9, rate(latency[4m]))",
         "sum(latency{job='int'})", "histogram_count(mixed)", "increase(sizes[3m])", "count(latency)"]


def close(a, b):
    if isinstance(a, str) and isinstance(b, str):
        try:
            x, y = float(a), float(b)
        except ValueError:
            return a == b
        return a == b or abs(x - y) <= 1e-9 * max(abs(x), abs(y))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    return a == b


def ordered(data):
    if isinstance(data, list):
        return sorted(data, key=lambda s: json.dumps(s, sort_keys=True))
    if isinstance(data, dict) and isinstance(data.get("result"), list):
        data = dict(data, result=sorted(data["result"], key=lambda s: json.dumps(s.get("metric", s), sort_keys=True)))
    return data


class Pair:
    """Narthex and Prometheus, asked the same."""

    def __init__(self, suite, config=None):
        self.suite = suite
        suite.add("ingester", flags=["--enable-feature=exemplar-storage"])
        suite.start("ingester", "querier")
        self.ours = suite.querier.port
        self.theirs = free_port()
        path = suite.write("peer.yml", config or "{}")
        suite.peer("prometheus", [
            need_peer("prometheus"), f"--config.file={path}", f"--web.listen-address={HOST}:{self.theirs}",
            "--storage.tsdb.path=" + os.path.join(suite.folder, "peer"), "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,exemplar-storage", "--log.level=error"], self.theirs).start()

    def write(self, message):
        answers = [write(port, message) for port in (self.theirs, self.ours)]
        check_equal(answers[1].status, answers[0].status,
                    f"status of a write; Prometheus says {answers[0].text!r}, we {answers[1].text!r}")
        return answers

    def same(self, path, params):
        wanted, got = (get(port, "/api/v1" + path, params) for port in (self.theirs, self.ours))
        check_equal(got.status, wanted.status, f"{path} {params}: {got.text[:300]} / {wanted.text[:300]}")
        if wanted.status != 200:
            return
        a, b = ordered(wanted.json().get("data")), ordered(got.json().get("data"))
        if not close(a, b):
            raise AssertionError(f"{path} {params}:\nprometheus {json.dumps(a)[:3000]}\n   narthex {json.dumps(b)[:3000]}")


def fill(pair, version):
    """Writes the series, with stale markers, mixed samples and exemplars. Returns the times of the ends."""
    rand = random.Random(7)
    start = int(time.time() * 1000) // STEP_MS * STEP_MS - STEPS * STEP_MS
    made = sources(rand)
    mixed = Source(rand, "int", 1)
    for step in range(STEPS):
        now = start + step * STEP_MS
        message = version()
        for number_of, (labels, source) in enumerate(made):
            source.observe()
            if rand.random() < 0.05:
                continue
            kind = source.kind
            ends = rand.random() < 0.03
            # Not with the first histogram: Prometheus, 3.14 too, takes exemplars of version 1 before histograms and
            # drops those of a series that it does not know yet.
            exemplars = [(f"trace{step}", rand.random(), now)] if number_of < 3 and step > 5 and not ends else []
            message.add(labels, histograms=[stale(kind, now) if ends else source.value().written(now)],
                        exemplars=exemplars)
        mixed.observe()
        labels = {"__name__": "mixed", "job": "x"}
        if step % 10 < 4:
            message.add(labels, samples=[sample(now, float(step))])
        elif step % 10 == 9:
            message.add(labels, samples=[sample(now, STALE)])
        else:
            message.add(labels, histograms=[mixed.value().written(now)])
        pair.write(message)
    return start, start + (STEPS - 1) * STEP_MS


def compare(pair, start, end):
    for expression in INSTANT:
        for at in (end, start + (end - start) // 2, start + 37_000):
            pair.same("/query", {"query": expression, "time": at / 1000})
    for expression in RANGE:
        pair.same("/query_range", {"query": expression, "start": start / 1000, "end": end / 1000, "step": 20})
    for expression in ("latency", "rate(latency{i='1'}[5m])", "latency{i='0'} + latency{i='2'}", "nothing"):
        pair.same("/query_exemplars", {"query": expression, "start": start / 1000, "end": end / 1000})
    pair.same("/query_exemplars", {"query": "latency", "start": (start + 100_000) / 1000, "end": (end - 300_000) / 1000})
    pair.same("/series", {"match[]": "{job=~'.+'}"})


def test_written_by_version_1():
    with Suite() as suite:
        pair = Pair(suite)
        compare(pair, *fill(pair, V1))


def test_written_by_version_2_and_read_after_a_crash():
    with Suite() as suite:
        pair = Pair(suite)
        start, end = fill(pair, V2)
        compare(pair, start, end)
        suite.ingester.kill()
        suite.ingester.start()
        compare(pair, start, end)


def test_random_queries():
    with Suite() as suite:
        pair = Pair(suite)
        start, end = fill(pair, V1)
        generator = HistogramGenerator(seed=1)
        failures, count = [], 0
        for _ in range(400):
            query = generator.query()
            for path, params in [
                    ("/query", {"query": query, "time": (end - 1) / 1000}),
                    ("/query", {"query": query, "time": (start + end) // 2 / 1000}),
                    ("/query_range", {"query": query, "start": start / 1000 + 100, "end": end / 1000, "step": 37})]:
                ours, theirs = (get(port, "/api/v1" + path, params) for port in (pair.ours, pair.theirs))
                wrong = difference(query, (ours.status, ours.json()), (theirs.status, theirs.json()))
                count += 1
                if wrong:
                    failures.append(f"{path} {query}\n     {wrong}")
        check(not failures, f"{len(failures)} of {count} answers differ:\n" + "\n".join(failures[:30]))


def test_what_is_refused():
    def headers(answer):
        return [answer.headers.get(f"X-Prometheus-Remote-Write-{what}-Written")
                for what in ("Samples", "Histograms", "Exemplars")]
    with Suite() as suite:
        pair = Pair(suite)
        now = int(time.time() * 1000) // 1000 * 1000
        good = Histogram("int", 1, {0: 2, 1: 3}, zero=1, total=4.0)
        other = Histogram("int", 1, {0: 2, 1: 4}, zero=1, total=4.0)
        bad = Histogram("int", 1, {0: 2, 1: 3})
        bad.positive = {0: 2, 1: -3}
        name = {"__name__": "h", "job": "a"}
        for version in (V1, V2):
            name = dict(name, version=version.__name__)
            for what, message in [
                    ("the series", version().add(name, histograms=[good.written(now - 10_000)])),
                    ("the first", version().add(name, histograms=[good.written(now)], exemplars=[("a", 1.0, now)])),
                    ("the same again", version().add(name, histograms=[good.written(now)])),
                    ("another of the same time", version().add(name, histograms=[other.written(now)])),
                    ("an older one", version().add(name, histograms=[other.written(now - 1000)])),
                    ("a float of the same time", version().add(name, samples=[sample(now, 1.0)])),
                    ("one too far ahead", version().add(name, histograms=[good.written(now + 3_600_000)])),
                    ("one that contradicts itself", version().add(name, histograms=[bad.written(now + 1000)])),
                    ("a good one", version().add(name, histograms=[other.written(now + 2000)],
                                                 exemplars=[("b", 2.0, now + 2000)])),
                    ("an older exemplar", version().add(name, histograms=[other.written(now + 3000)],
                                                        exemplars=[("c", 2.0, now + 1000)])),
                    ("no name", version().add({"job": "a"}, histograms=[good.written(now)])),
            ]:
                wanted, got = (write(port, message) for port in (pair.theirs, pair.ours))
                if "contradicts" in what:
                    # Sending it again would not help, which is what 500 of 3.5 asks for.
                    check_equal(got.status, 400, f"{what}: {got.text!r}")
                    continue
                check_equal(got.status, wanted.status, f"{version.__name__}: {what}: {wanted.text!r} / {got.text!r}")
                if version is V2:
                    check_equal(headers(got), headers(wanted), f"headers after {what}")
        for expression in ("h", "h[1m]"):
            pair.same("/query", {"query": expression, "time": now / 1000 + 5})
        pair.same("/query_exemplars", {"query": "h", "start": now / 1000 - 10, "end": now / 1000 + 10})


# ------------------------------------------------------------------- scraping


class ProtobufTarget:
    """Exposes metric families by protobuf, a page a scrape."""

    def __init__(self, pages):
        outer = self
        self.pages, self.served, self.accept = pages, 0, None
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with lock:
                    body = outer.pages[min(outer.served, len(outer.pages) - 1)]
                    outer.served += 1
                outer.accept = self.headers["Accept"]
                self.send_response(200)
                self.send_header("Content-Type", "application/vnd.google.protobuf; "
                                 "proto=io.prometheus.client.MetricFamily; encoding=delimited")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.address = f"{HOST}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def family(name, kind, metrics, text="help"):
    body = _bytes_field(1, name.encode()) + _bytes_field(2, text.encode()) + number(3, kind)
    body += b"".join(_bytes_field(4, m) for m in metrics)
    return _varint(len(body)) + body


def scraped_pages(count):
    rand = random.Random(3)
    start = int(time.time() * 1000) // 1000 * 1000 - count * 1000
    latency, coarse = Source(rand, "int", 3), Source(rand, "int", 1)
    pages = []
    for i in range(count):
        now = start + i * 1000
        latency.observe()
        coarse.observe()
        metric = label("path", "/a") + number(6, now)
        pages.append(
            family("latency", 4, [
                metric + _bytes_field(7, latency.value().exposed([(f"t{i}", 0.5 + i, now)])),
                label("path", "/b") + number(6, now) + _bytes_field(7, coarse.value().exposed())])
            + family("level", 1, [number(6, now) + _bytes_field(2, double(1, i * 0.5))])
            + family("events_total", 0, [number(6, now) + _bytes_field(3, double(1, float(i)))])
            + family("gone", 5, [] if 10 < i < 20 else [number(6, now) + _bytes_field(7, coarse.value().exposed())]))
    return pages, start, start + (count - 1) * 1000


def test_scraped_by_protobuf():
    pages, start, end = scraped_pages(40)
    options = [("both", "scrape_native_histograms: true\n  always_scrape_classic_histograms: true"),
               ("native", "scrape_native_histograms: true\n  native_histogram_bucket_limit: 6"),
               ("coarse", "scrape_native_histograms: true\n  native_histogram_min_bucket_factor: 2"),
               ("classic", "scrape_protocols: [PrometheusProto]")]
    old = [("both", "always_scrape_classic_histograms: true"), ("native", "native_histogram_bucket_limit: 6"),
           ("coarse", "native_histogram_min_bucket_factor: 2"), ("classic", None)]
    targets = {}

    def config(which, who, suite):
        text = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
        for name, extra in which:
            if extra is None:
                continue
            target = targets[who, name] = suite.own(ProtobufTarget(pages))
            text += (f"- job_name: {name}\n  {extra}\n  static_configs:\n  - targets: ['{target.address}']\n"
                     f"    labels: {{instance: x}}\n")
        return text
    with Suite() as suite:
        pair = Pair(suite, config(old, "theirs", suite))
        suite.write("prometheus.yml", config(options, "ours", suite))
        suite.start("scraper")
        wait_for("the scrapes", lambda: all(t.served > len(pages) + 2 for t in targets.values()), 60)
        check(targets["ours", "both"].accept.startswith("application/vnd.google.protobuf"),
              f"Accept: {targets['ours', 'both'].accept}")
        for job in ("both", "native", "coarse"):
            own = f"job='{job}',__name__!~'up|scrape_.*'"
            for expression in (f"{{{own}}}", f"{{{own}}}[1m]", f"rate(latency{{job='{job}'}}[20s])",
                               f"histogram_quantile(0.9, latency{{job='{job}'}})"):
                for at in (end, start + 15_500):
                    pair.same("/query", {"query": expression, "time": at / 1000})
            pair.same("/query_exemplars", {"query": f"latency{{job='{job}'}}", "start": start / 1000, "end": end / 1000})
        wanted = suite.query("count by (__name__) ({job='classic',__name__=~'latency.*'})", end / 1000)
        check_equal(sorted((s["metric"]["__name__"], s["value"][1]) for s in wanted),
                    [("latency_bucket", "6"), ("latency_count", "2"), ("latency_sum", "2")], "classic series")


if __name__ == "__main__":
    main(test_written_by_version_1, test_written_by_version_2_and_read_after_a_crash, test_random_queries,
         test_what_is_refused, test_scraped_by_protobuf)
