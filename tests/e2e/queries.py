"""Queries under control: a frozen ingester, cancelling, explaining, logs."""

import json
import os
import signal
import threading
import time

from harness import Suite, check, check_equal, get, main, remote_write, request, wait_for

CONFIG = "global: {query_log_file: %s}\n"


def written(suite, series=50, steps=60):
    """Remote writes `series` series that end now; returns when."""
    now = int(time.time())
    remote_write(suite.querier.port, [
        ({"__name__": "m", "i": str(i)}, [(1000 * (now - steps + t), float(i + t)) for t in range(steps)])
        for i in range(series)])
    wait_for("the samples", lambda: suite.value("count(m)", now) == series)
    return now


def a_frozen_ingester_fails_queries_by_name():
    with Suite() as suite:
        suite.start("ingester", "querier")
        now = written(suite)
        suite.ingester.signal(signal.SIGSTOP)
        try:
            for params in ({"query": "m", "timeout": "1s"}, {"query": "m[1m]", "timeout": "1s"}):
                begin = time.time()
                answer = get(suite.querier.port, "/api/v1/query", {**params, "time": now})
                took = time.time() - begin
                check_equal(answer.status, 503, "status")
                check(suite.grpc("ingester") in answer.json()["error"], f"names no ingester: {answer.text}")
                check(0.8 < took < 2, f"{took:.1f}s for a timeout of 1s")
            begin = time.time()
            answer = get(suite.querier.port, "/api/v1/query", {"query": "sum(m)", "time": now})
            check_equal(answer.status, 503, "status without a timeout")
            check(suite.grpc("ingester") in answer.json()["error"], f"names no ingester: {answer.text}")
            check(time.time() - begin < 25, "it took long to notice")
        finally:
            suite.ingester.signal(signal.SIGCONT)
        wait_for("answers again", lambda: suite.value("count(m)", now) == 50)


def a_running_query_is_listed_and_cancelled():
    with Suite() as suite:
        suite.start("ingester", "querier")
        now = written(suite)
        suite.ingester.signal(signal.SIGSTOP)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(
            get(suite.querier.port, "/api/v1/query", {"query": "sum(m)", "time": now})))
        asking.start()
        try:
            running = lambda: get(suite.querier.port, "/api/v1/status/queries").json()["data"]
            wait_for("the query in the list", lambda: [q for q in running() if q["query"] == "sum(m)"])
            one = running()[0]
            check("/api/v1/query" in one["origin"], f"origin: {one}")
            begin = time.time()
            gone = request(suite.querier.port, "DELETE", "/api/v1/status/queries/" + one["id"])
            check_equal(gone.status, 204, "status of the cancelling")
            asking.join(5)
            check(time.time() - begin < 1, "it went on for long")
            check_equal(answers[0].status, 499, "status of the query")
            check_equal(answers[0].json()["errorType"], "canceled", "error type")
            again = request(suite.querier.port, "DELETE", "/api/v1/status/queries/" + one["id"])
            check_equal(again.status, 404, "status of cancelling it again")
        finally:
            suite.ingester.signal(signal.SIGCONT)


def a_query_is_explained_and_logged():
    with Suite() as suite:
        log = suite.write("queries.log", "")
        active = os.path.join(os.path.dirname(log), "queries.active")
        with open(active, "w") as f:
            f.write('[{"query":"left(behind)","timestamp_sec":1},' + 3 * "\0")
        suite.write("prometheus.yml", CONFIG % log)
        suite.add("querier", flags=["--query.log-slower-than=1ms", "--query.active-queries-file=" + active])
        suite.start("ingester", "querier")
        check("left(behind)" in suite.querier.log_tail(), "what was left behind is not logged")
        now = written(suite)
        suite.query("sum(sum_over_time(m[1d:1s]))", now)
        check("slow query" in suite.querier.log_tail(), "no slow query in the log")
        data = suite.api("/query", {"query": "sum(rate(m[1m])) * 2", "time": now, "explain": "1"})
        nodes = data["explain"]["nodes"]
        check_equal(nodes[0]["expr"], "sum(rate(m[1m])) * 2", "the first node")
        check_equal([n["pushedDown"] for n in nodes][0], True, "whether it is pushed down")
        ingester = data["explain"]["fragments"][0]["ingesters"][0]
        check_equal(ingester["seriesRead"], 50, "series read")
        check(ingester["samplesRead"] >= 50 * 50, "samples read")
        check(len(ingester["nodes"]) >= 2, "nodes measured")
        with open(log) as f:
            line = [json.loads(text) for text in f][-1]
        check_equal(line["params"]["query"], "sum(rate(m[1m])) * 2", "the query in the log")
        check_equal(line["httpRequest"]["path"], "/api/v1/query", "the path in the log")
        check_equal(os.path.getsize(active), 20001, "size of the file of active queries")


if __name__ == "__main__":
    main(a_frozen_ingester_fails_queries_by_name, a_running_query_is_listed_and_cancelled,
         a_query_is_explained_and_logged)
