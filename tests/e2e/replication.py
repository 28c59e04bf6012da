"""Series that are in three ingesters survive the loss of one."""

import signal
import threading
import time

from harness import (
    Exposition, Suite, check, check_equal, get, main, remote_write, request, scrape_config,
    wait_for, ways_to_ask)

INGESTERS = ["ingester1", "ingester2", "ingester3"]
WIRING = {"ingester": INGESTERS, "querier": ["querier"]}
FACTOR = ["--ingester.replication-factor=3"]


def start(suite, *others):
    for name in INGESTERS:
        suite.add(name, "ingester", ["--enable-feature=exemplar-storage"])
    for name in others:
        suite.add(name, name, FACTOR, WIRING)
    suite.start(*INGESTERS, *others)


def querier_of(suite, *ingesters):
    """A querier that sees these ingesters only, as if there were no replicas."""
    name = "alone_" + "_".join(ingesters)
    suite.add(name, "querier", (), {"ingester": list(ingesters)})
    suite.start(name)
    return name


def write(suite, at_ms, value, series=20):
    return remote_write(suite.querier.port, [
        ({"__name__": "m", "i": str(i)}, [(at_ms, value + i)]) for i in range(series)])


class Repeated:
    """Calls `function` with 0, 1, 2 ... until it is told to stop."""

    def __init__(self, function, pause):
        self.count, self.failures, self.slowest = 0, [], 0.0
        self.stopping = False

        def run():
            while not self.stopping:
                begin = time.time()
                failure = function(self.count)
                self.slowest = max(self.slowest, time.time() - begin)
                if failure:
                    self.failures.append(failure)
                self.count += 1
                time.sleep(pause)
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def stop(self):
        self.stopping = True
        self.thread.join()


def no_sample_and_no_query_is_lost_with_one_ingester():
    exporter = Exposition({"/metrics": lambda n: f"scraped {n}\n"})
    with Suite(scrape_config([exporter.address])) as suite:
        suite.own(exporter)
        start(suite, "querier", "scraper")
        begin_ms = int(time.time() * 1000) - 60_000

        def push(n):
            answer = write(suite, begin_ms + n, n)
            return None if answer.status == 204 else f"write {n}: {answer.status} {answer.text}"

        def ask(n):
            answer = get(suite.querier.port, "/api/v1/query", {"query": "count(count_over_time(m[5m]))"})
            if answer.status != 200:
                return f"query {n}: {answer.status} {answer.text}"
            result = answer.json()["data"]["result"]
            return None if n < 10 or result[0]["value"][1] == "20" else f"query {n}: {result}"

        push(0)
        writing, asking = Repeated(push, 0.02), Repeated(ask, 0.05)
        try:
            wait_for("some writes", lambda: writing.count > 50)
            suite.ingester2.kill()
            at = writing.count
            wait_for("writes without one ingester", lambda: writing.count > at + 100)
            wait_for("scrapes", lambda: (suite.value("count_over_time(scraped[5m])") or 0) >= 3)
        finally:
            asking.stop()
            writing.stop()
        check_equal(writing.failures, [], "writes that failed")
        check_equal(asking.failures, [], "queries that failed")
        check(asking.slowest < 3 and writing.slowest < 3, f"slowest: {asking.slowest}s, {writing.slowest}s")
        check(suite.querier.metric("narthex_query_missing_ingesters_total{") > 0, "nobody counts the missing ingester")
        total = float(writing.count)
        for i in (0, 7, 19):
            check_equal(suite.value(f'count_over_time(m{{i="{i}"}}[10m])'), total, "samples without an ingester")
        gaps = suite.query('scraped[10m]')[0]["values"]
        check(all(b[0] - a[0] < 2.5 for a, b in zip(gaps, gaps[1:])), f"a gap in what was scraped: {gaps}")

        # With two of three away an answer may lack what only they have.
        suite.ingester3.kill()
        for path, params in ways_to_ask(int(time.time())):
            answer = get(suite.querier.port, path, params)
            check_equal(answer.status, 503, f"status of {path} {params}: {answer.text}")
            for name in ("ingester2", "ingester3"):
                check(suite.grpc(name) in answer.text, f"{path} {params} does not name {name}: {answer.text}")
        suite.ingester2.start()
        suite.ingester3.start()
        wait_for("answers again", lambda: get(
            suite.querier.port, "/api/v1/query", {"query": "count(m)"}).status == 200)
        # What waited is delivered: each has everything by itself.
        for name in INGESTERS:
            alone = querier_of(suite, name)
            wait_for(f"all samples in {name}", lambda: suite.value(
                'count_over_time(m{i="7"}[10m])', querier=alone) == total)
            wait_for(f"what was scraped in {name}", lambda: suite.value(
                f"count_over_time(scraped[10m] @ {gaps[-1][0]})", querier=alone) >= len(gaps) - 1)


def a_frozen_ingester_is_not_waited_for():
    with Suite() as suite:
        start(suite, "querier")
        now = int(time.time())
        for n in range(10):
            check_equal(write(suite, (now - 10 + n) * 1000, n).status, 204, "status of a write")
        suite.ingester1.signal(signal.SIGSTOP)
        try:
            begin = time.time()
            check_equal(write(suite, now * 1000, 10).status, 204, "status of a write with a frozen ingester")
            check(time.time() - begin < 1, "the write took long")
            for path, params in ways_to_ask(now):
                begin = time.time()
                answer = get(suite.querier.port, path, params)
                check_equal(answer.status, 200, f"status of {path} {params}: {answer.text}")
                check(time.time() - begin < 2, f"{path} {params} took {time.time() - begin:.1f}s")
            check_equal(suite.value('count_over_time(m{i="0"}[1m])', now), 11.0, "samples")
        finally:
            suite.ingester1.signal(signal.SIGCONT)
        alone = querier_of(suite, "ingester1")
        wait_for("the sample in the ingester that was frozen",
                 lambda: suite.value('count_over_time(m{i="0"}[1m])', now, alone) == 11)


def answers_are_those_of_one_replica():
    with Suite() as suite:
        start(suite, "querier")
        now = int(time.time())
        for n in range(60):
            # One at a time each misses some; together they have all.
            if n % 15 == 7:
                suite.services[INGESTERS[n // 15 % 3]].kill()
            check_equal(write(suite, (now - 300 + 5 * n) * 1000, n * n).status, 204, "status of a write")
            if n % 15 == 11:
                suite.services[INGESTERS[n // 15 % 3]].start()
                wait_for("it to catch up", lambda: suite.querier.metric("narthex_push_queued_samples ") == 0)
        one = querier_of(suite, "ingester1")
        for path, params in ways_to_ask(now):
            mine, its = get(suite.querier.port, path, params), get(suite.services[one].port, path, params)
            check_equal((mine.status, its.status), (200, 200), f"status of {path} {params}: {mine.text} {its.text}")
            check_equal(mine.text, its.text, f"answer to {path} {params}")
        explained = suite.api("/query", {"query": "sum(m)", "time": now, "explain": "1"})["explain"]
        check_equal([n["pushedDown"] for n in explained["nodes"]], [False] * len(explained["nodes"]), "pushed down")
        check("3 of them" in explained["note"], f"the note: {explained['note']}")
        # A deletion must reach all replicas, or it would come to nothing.
        suite.ingester3.kill()
        answer = get(suite.querier.port, "/-/healthy")
        check_equal(answer.status, 200, "the querier is healthy")
        deleted = request(suite.querier.port, "POST", "/api/v1/admin/tsdb/delete_series?match[]=m")
        check_equal(deleted.status, 503, "status of a deletion without an ingester: " + deleted.text)
        suite.ingester3.start()
        wait_for("the deletion", lambda: request(
            suite.querier.port, "POST", "/api/v1/admin/tsdb/delete_series?match[]=m").status == 204)
        check_equal(suite.query("m[10m]", now), [], "what is left")


if __name__ == "__main__":
    main(no_sample_and_no_query_is_lost_with_one_ingester, a_frozen_ingester_is_not_waited_for,
         answers_are_those_of_one_replica)
