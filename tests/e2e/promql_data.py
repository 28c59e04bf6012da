"""Series that look like those of PromLabs' demo service, with all that is
awkward about real ones: resets, gaps, staleness, odd values, late births."""

import math
import random
import struct

INSTANCES = ["demo.promlabs.com:10000", "demo.promlabs.com:10001", "demo.promlabs.com:10002"]
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
BOUNDS = ["0.1", "0.15", "0.25", "0.5", "1", "2.5", "5", "+Inf"]
INTERVAL_MS = 15_000


class _Maker:
    def __init__(self, end_ms, minutes, seed):
        self.random = random.Random(seed)
        count = minutes * 60_000 // INTERVAL_MS
        begin = end_ms - (count - 1) * INTERVAL_MS
        # Scrapes are never exactly on time.
        self.times = [begin + i * INTERVAL_MS + self.random.randrange(-40, 40) for i in range(count)]
        self.series = []

    def add(self, name, labels, values, keep=lambda i: True):
        samples = [(t, v) for i, (t, v) in enumerate(zip(self.times, values)) if keep(i)]
        self.series.append(({"__name__": name, "job": "demo", **labels}, samples))

    def counter(self, rate, reset_at=()):
        value, values = 0.0, []
        for i in range(len(self.times)):
            if i in reset_at:
                value = 0.0
            value += self.random.random() * rate
            values.append(value)
        return values

    def gauge(self, middle, spread):
        return [middle + spread * math.sin(i / 17 + middle) + self.random.gauss(0, spread / 10)
                for i in range(len(self.times))]


def demo_series(end_ms, minutes=60, seed=1):
    """[(labels, [(timestamp_ms, value)])], sorted by time."""
    make = _Maker(end_ms, minutes, seed)
    count = len(make.times)
    third = count // 3
    for n, instance in enumerate(INSTANCES):
        at = {"instance": instance}
        make.add("demo_num_cpus", at, [4.0] * count)
        make.add("up", at, [0.0 if i % 90 == 10 * n else 1.0 for i in range(count)])
        make.add("demo_info", {**at, "version": f"1.{n}"}, [1.0] * count)
        make.add("target_info", {**at, "cluster": f"eu-{n % 2}", "k8s.pod": f"p{n}"}, [1.0] * count)
        for mode in ("idle", "system", "user"):
            make.add("demo_cpu_usage_seconds_total", {**at, "mode": mode},
                     make.counter(15.0, {third + n} if n == 1 else ()))
        for kind in ("buffers", "cached", "free", "used"):
            make.add("demo_memory_usage_bytes", {**at, "type": kind}, make.gauge(1e9 * (n + 1), 4e7))
        make.add("demo_disk_usage_bytes", at, [1e10 + 1e5 * i * (n + 1) for i in range(count)])
        make.add("demo_disk_total_bytes", at, [2.6e11] * count)
        # Succeeds every few minutes.
        make.add("demo_batch_last_success_timestamp_seconds", at,
                 [float(make.times[i - i % (9 + n)] // 1000) for i in range(count)])
        make.add("demo_items_shipped_total", at, [float(v // 1) for v in make.counter(3.0, {2 * third})])
        # There for five minutes, then stale for five.
        period = 5 * 60_000 // INTERVAL_MS
        make.add("demo_intermittent_metric", at,
                 [STALE if i % (2 * period) == period else 1.0 for i in range(count)],
                 lambda i: i % (2 * period) <= period)
        make.add("demo_odd_values", at, [
            (float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e-300, 1.7e308, -2.5)[(i // 4 + n) % 8]
            for i in range(count)])
        make.add("demo_born_late", at, make.gauge(5, 2), lambda i: i > third * (n + 1) // 2)
        for method, path, status in (("GET", "/api/foo", "200"), ("POST", "/api/bar", "500")):
            labels = {**at, "method": method, "path": path, "status": status}
            rows = [make.counter(4.0) for _ in BOUNDS]
            for row in rows:
                row[:] = [float(v // 1) for v in row]
            below = [0.0] * count
            for bound, row in zip(BOUNDS, rows):
                below = [a + b for a, b in zip(below, row)]
                make.add("demo_api_request_duration_seconds_bucket", {**labels, "le": bound}, below)
            make.add("demo_api_request_duration_seconds_count", labels, below)
            make.add("demo_api_request_duration_seconds_sum", labels, [v * 0.3 for v in below])
    make.series.sort(key=lambda s: sorted(s[0].items()))
    return make.series
