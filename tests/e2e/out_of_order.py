"""Samples that come late: Narthex takes, refuses and answers as Prometheus does,
and each goes on with the other's directory after kill -9."""

import os
import random
import shutil
import time

from harness import HOST, Suite, check, check_equal, free_port, get, main, need_peer, remote_write, wait_for

MINUTE = 60_000
REASONS = ["out of order sample", "duplicate sample for timestamp", "out of bounds", "too old sample"]
QUERIES = ["late[4h]", "sum(rate(late[10m]))", "count_over_time(late[3h])", "max_over_time(late[2h] offset 30m)"]


def config(window):
    return f"storage: {{tsdb: {{out_of_order_time_window: {window}}}}}\n"


def labels(number):
    return {"__name__": "late", "i": str(number)}


def value_at(number, time_ms):
    """Of one series and time always the same: which of two values wins is not defined."""
    return number * 1000 + time_ms % 7919


class Load:
    """Random requests of which many samples are late, repeated, too old or too new."""

    def __init__(self, seed, start, window):
        self.random = random.Random(seed)
        self.now, self.window = start, window
        self.newest = {}

    def next(self):
        self.now += self.random.choice([0, 5_000, 15_000, 15_000, MINUTE])
        request = []
        for number in self.random.sample(range(6), self.random.randint(1, 3)):
            samples = [self.sample(number) for _ in range(self.random.choice([1, 1, 1, 2, 4]))]
            request.append((labels(number), samples))
        return request

    def sample(self, number):
        newest = self.newest.get(number, self.now)
        kind = self.random.random()
        if kind < 0.55:
            time_ms = self.now + self.random.randrange(1000)
        elif kind < 0.85:
            time_ms = self.now - self.random.randrange(int(self.window * 0.9))
        elif kind < 0.90:
            return newest, value_at(number, newest)
        elif kind < 0.93:
            return newest, value_at(number, newest) + 1
        elif kind < 0.97:
            time_ms = self.now - self.window - self.random.randrange(MINUTE, 60 * MINUTE)
        else:
            time_ms = int(time.time() * 1000) + 60 * MINUTE
        return time_ms, value_at(number, time_ms)

    def accepted(self, request):
        for series, samples in request:
            number = int(series["i"])
            self.newest[number] = max([self.newest.get(number, 0)] + [t for t, _ in samples])


def reason_of(answer):
    if answer.status == 204:
        return ""
    named = [r for r in REASONS if answer.text.startswith(r)]
    check(named, f"unexpected answer {answer.status}: {answer.text}")
    return named[0]


def normalized(answer):
    data = answer.json()["data"]
    return sorted((sorted(s["metric"].items()), s.get("value"), s.get("values")) for s in data["result"])


def compare(ours, theirs, at, when):
    for query in QUERIES:
        params = {"query": query, "time": at / 1000}
        a, b = get(ours, "/api/v1/query", params), get(theirs, "/api/v1/query", params)
        check(a.status == b.status == 200, f"{when}: {query}: {a.text[:300]} {b.text[:300]}")
        first, second = normalized(a), normalized(b)
        for x, y in zip(first, second):
            if x == y:
                continue
            only = [[v for v in p[2] or [] if v not in (q[2] or [])][:5] for p, q in ((x, y), (y, x))]
            check(False, f"{when}: {query}: {x[0]}: only ours {only[0]} {x[1]}, only theirs {only[1]} {y[1]}")
        check_equal(len(first), len(second), f"{when}: {query}: number of series")
    for path, params in [("query_range", {"query": "sum by (i) (rate(late[5m]))", "start": at / 1000 - 7200,
                                          "end": at / 1000, "step": 97}),
                         ("series", {"match[]": "late", "start": at / 1000 - 9000, "end": at / 1000})]:
        a, b = (get(port, f"/api/v1/{path}", params).json()["data"] for port in (ours, theirs))
        if path == "query_range":
            a, b = ({str(s["metric"]): s["values"] for s in d["result"]} for d in (a, b))
        else:
            a, b = (sorted(map(str, d)) for d in (a, b))
        check_equal(a, b, f"{when}: {path}")


def prometheus(suite, name, path, settings):
    port = free_port()
    return suite.peer(name, [
        need_peer("prometheus"), f"--config.file={settings}", f"--storage.tsdb.path={path}",
        f"--web.listen-address={HOST}:{port}", "--web.enable-remote-write-receiver", "--web.enable-admin-api"], port)


def take_over(suite, window, at):
    """Each opens what the other left when it was killed."""
    folder = suite.folder
    suite.ingester.kill()
    suite.prometheus.kill()
    shutil.copytree(f"{folder}/ingester", f"{folder}/ours")
    shutil.copytree(f"{folder}/theirs", f"{folder}/copied")
    suite.ingester.start()
    suite.prometheus.start()
    compare(suite.querier.port, suite.prometheus.port, at, f"window {window}, after kill -9")
    heir = prometheus(suite, "heir", f"{folder}/ours", f"{folder}/prometheus.yml").start()
    compare(suite.querier.port, heir.port, at, f"window {window}, Prometheus in our directory")
    heir.kill()
    suite.ingester.kill()
    shutil.rmtree(f"{folder}/ingester")
    shutil.move(f"{folder}/copied", f"{folder}/ingester")
    if os.path.exists(f"{folder}/ingester/lock"):
        os.remove(f"{folder}/ingester/lock")
    suite.ingester.start()
    compare(suite.querier.port, suite.prometheus.port, at, f"window {window}, ours in Prometheus's directory")


def late_samples_fare_as_with_prometheus():
    need_peer("prometheus")
    for window in ("0s", "30m"):
        with Suite(config(window)) as suite:
            suite.add("ingester", flags=[f"--config.file={suite.config}"])
            suite.start("ingester", "querier")
            prometheus(suite, "prometheus", f"{suite.folder}/theirs", suite.config).start()
            start = int(time.time() * 1000) - 150 * MINUTE
            load = Load(17, start, 30 * MINUTE)
            outcomes = {}
            for step in range(400):
                request = load.next()
                ours, theirs = (remote_write(port, request) for port in (suite.querier.port, suite.prometheus.port))
                reason = reason_of(theirs)
                outcomes[reason] = outcomes.get(reason, 0) + 1
                # What is too far ahead is refused before the others are looked at.
                ahead = any(t > time.time() * 1000 + 11 * MINUTE for _, samples in request for t, _ in samples)
                if ours.status != theirs.status or not ahead and reason_of(ours) != reason:
                    check(False, f"window {window}, step {step}: {request}:\n  ours {ours.status} {ours.text}\n"
                                 f"theirs {theirs.status} {theirs.text}")
                if reason == "":
                    load.accepted(request)
            print(f"window {window}: {outcomes}")
            compare(suite.querier.port, suite.prometheus.port, load.now + MINUTE, f"window {window}")
            series = "prometheus_tsdb_head_series "
            check_equal(suite.ingester.metric(series), suite.prometheus.metric(series), f"window {window}: {series}")
            # Prometheus also counts repeats, which it stores twice.
            late = "prometheus_tsdb_head_out_of_order_samples_appended_total"
            counted, wanted = suite.ingester.metric(late), suite.prometheus.metric(late)
            check(counted <= wanted and (counted > 0) == (wanted > 0), f"window {window}: {late}: {counted}, {wanted}")
            take_over(suite, window, load.now + MINUTE)


def the_window_is_reloaded():
    with Suite(config("0s")) as suite:
        suite.add("ingester", flags=[f"--config.file={suite.config}"])
        suite.start("ingester", "querier")
        now = int(time.time() * 1000)

        def write(time_ms):
            return remote_write(suite.querier.port, [(labels(1), [(time_ms, 1)])]).status
        check_equal(write(now), 204, "the first sample")
        check_equal(write(now - 1000), 400, "a late sample without a window")
        suite.write("prometheus.yml", config("10m"))
        from harness import request
        check_equal(request(suite.ingester.port, "POST", "/-/reload").status, 200, "reload")
        check_equal(write(now - 1000), 204, "a late sample with a window")
        check_equal(write(now - 11 * MINUTE), 400, "a sample before the window")
        wait_for("both samples", lambda: suite.value("count_over_time(late[5m])") == 2)


if __name__ == "__main__":
    main(late_samples_fare_as_with_prometheus, the_window_is_reloaded)
