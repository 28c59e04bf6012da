"""Queries under control: a frozen ingester, cancelling, explaining, logs."""

import glob
import json
import os
import signal
import threading
import time

from harness import (
    Suite, check, check_equal, get, main, make_blocks, remote_write, request, wait_for,
    ways_to_ask)

CONFIG = "global: {query_log_file: %s}\n"


def written(suite, series=50, steps=60):
    """Remote writes `series` series that end now; returns when."""
    now = int(time.time())
    remote_write(suite.querier.port, [
        ({"__name__": "m", "i": str(i)}, [(1000 * (now - steps + t), float(i + t)) for t in range(steps)])
        for i in range(series)])
    wait_for("the samples", lambda: suite.value("count(m)", now) == series)
    return now


def freeze(service):
    """Stops a process; no thread of it runs when this returns."""
    service.signal(signal.SIGSTOP)

    def stopped(task):
        with open(f"/proc/{service.process.pid}/task/{task}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "T"
    wait_for("the process to stop", lambda: all(map(stopped, os.listdir(f"/proc/{service.process.pid}/task"))))


def a_frozen_ingester_fails_queries_by_name():
    with Suite() as suite:
        suite.start("ingester", "querier")
        now = written(suite)
        freeze(suite.ingester)
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
        freeze(suite.ingester)
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


def what_a_query_costs_in_an_ingester_is_told_while_it_runs():
    with Suite() as suite:
        suite.start("ingester", "querier")
        now = written(suite, 500, 100)
        query = "sum(sum_over_time(m[100s:1s] offset 1s))"
        answers = []
        asking = threading.Thread(target=lambda: answers.append(get(suite.querier.port, "/api/v1/query_range", {
            "query": query, "start": now - 9000, "end": now + 1500, "step": 1, "timeout": "60s"})))
        asking.start()

        def cost():
            return [q for q in get(suite.querier.port, "/api/v1/status/queries").json()["data"] if q["query"] == query]
        wait_for("the query's cost", lambda: cost() and cost()[0]["samplesRead"] > 0, every=0.01)
        one = cost()[0]
        check_equal(one["columnsReceived"], 0, "columns received")
        check(one["seriesRead"] > 0, f"series read: {one}")
        check_equal(suite.ingester.metric("narthex_ingester_running_fragments "), 1.0, "fragments running")
        gone = request(suite.querier.port, "DELETE", "/api/v1/status/queries/" + one["id"])
        check_equal(gone.status, 204, "status of the cancelling")
        asking.join(5)
        check_equal(answers[0].status, 499, "status of the query")
        wait_for("the end in the ingester",
                 lambda: suite.ingester.metric("narthex_ingester_running_fragments ") == 0, 1)


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


def a_killed_querier_says_what_it_was_evaluating():
    with Suite() as suite:
        active = os.path.join(suite.folder, "queries.active")
        suite.add("querier", flags=["--query.active-queries-file=" + active])
        suite.start("ingester", "querier")
        now = written(suite)
        freeze(suite.ingester)
        try:
            def ask():
                try:
                    get(suite.querier.port, "/api/v1/query", {"query": "sum(m) + 1", "time": now})
                except OSError:
                    pass  # The querier is killed.
            asking = threading.Thread(target=ask)
            asking.start()

            def noted():
                with open(active) as f:
                    return "sum(m) + 1" in f.read()
            wait_for("the query in the file", noted)
            suite.querier.kill()
            asking.join(5)
        finally:
            suite.ingester.signal(signal.SIGCONT)
        suite.querier.start()
        suite.querier.stop()
        suite.querier.start()
        with open(suite.querier.log) as f:
            said = [line for line in f if "sum(m) + 1" in line]
        check_equal(len(said), 1, "how often the query is logged")
        check("these queries did not finish in the last run" in said[0], f"what is logged: {said[0]}")


def every_way_to_ask_names_an_ingester_that_is_away():
    with Suite() as suite:
        both = {"ingester": ["ingester1", "ingester2"]}
        for name in both["ingester"]:
            suite.add(name, "ingester")
        suite.add("querier", wiring=both)
        suite.start(*both["ingester"], "querier")
        now = written(suite)
        ways = ways_to_ask(now)
        for path, params in ways:
            check_equal(get(suite.querier.port, path, params).status, 200, f"status of {path} {params}")
        suite.ingester2.kill()
        for path, params in ways:
            answer = get(suite.querier.port, path, params)
            check_equal(answer.status, 503, f"status of {path} {params}: {answer.text}")
            check(suite.grpc("ingester2") in answer.text, f"{path} {params} names no ingester: {answer.text}")
        suite.ingester2.start()
        for path, params in ways:
            wait_for(f"an answer to {path} {params}", lambda: get(suite.querier.port, path, params).status == 200)
        freeze(suite.ingester2)
        try:
            begin = time.time()
            answer = get(suite.querier.port, "/api/v1/label/i/values")
            check_equal(answer.status, 503, f"status with a frozen ingester: {answer.text}")
            check(suite.grpc("ingester2") in answer.text, f"names no ingester: {answer.text}")
            check(time.time() - begin < 25, "it took long to notice")
        finally:
            suite.ingester2.signal(signal.SIGCONT)


def too_large_and_too_many_queries_fail_alone():
    with Suite() as suite:
        suite.add("querier", flags=["--query.max-concurrency=1", "--query.max-memory=2MB"])
        suite.start("ingester", "querier")
        now = written(suite, 200)
        large = {"query": "m", "start": now - 3600, "end": now, "step": 1}
        answer = get(suite.querier.port, "/api/v1/query_range", {**large, "query": "-m * 2 + m"})
        check_equal(answer.status, 422, f"status of a large query: {answer.text[:300]}")
        check_equal(answer.json()["errorType"], "execution", "its error type")
        check("memory" in answer.json()["error"], f"it does not say why: {answer.text}")
        check_equal(suite.value("count(m)", now), 200.0, "the next answer")
        freeze(suite.ingester)
        try:
            first = threading.Thread(target=lambda: get(suite.querier.port, "/api/v1/query", {
                "query": "sum(m)", "time": now, "timeout": "4s"}))
            first.start()
            wait_for("the query in the list",
                     lambda: get(suite.querier.port, "/api/v1/status/queries").json()["data"])
            begin = time.time()
            answer = get(suite.querier.port, "/api/v1/query", {"query": "max(m)", "time": now, "timeout": "1s"})
            check_equal(answer.status, 503, f"status of a query that waits: {answer.text}")
            check_equal(answer.json()["error"], "query timed out in query queue", "its error")
            check(0.8 < time.time() - begin < 2, "it waited for another time than its timeout")
            first.join()
        finally:
            suite.ingester.signal(signal.SIGCONT)
        wait_for("answers again", lambda: suite.value("count(m)", now) == 200)


def a_damaged_chunk_is_an_error_and_no_gap():
    with Suite() as suite:
        start = make_blocks(suite, os.path.join(suite.folder, "ingester"), 4)
        suite.start("ingester", "querier")
        whole = {"query": "count_over_time(old[2h])", "time": start + 7199}
        check_equal(suite.value(whole["query"], whole["time"]), 120.0, "samples of the first block")
        suite.ingester.stop()
        for chunks in glob.glob(suite.folder + "/ingester/*/chunks/000001"):
            with open(chunks, "r+b") as f:
                f.seek(os.path.getsize(chunks) // 2)
                byte = f.read(1)
                f.seek(-1, os.SEEK_CUR)
                f.write(bytes([byte[0] ^ 0x55]))
        suite.ingester.start()
        for path, params in (("/api/v1/query", whole),
                             ("/api/v1/query", {"query": "old[2h]", "time": start + 7199}),
                             ("/api/v1/query_range", {"query": "old", "start": start, "end": start + 7199, "step": 60})):
            answer = get(suite.querier.port, path, params)
            check_equal(answer.status, 422, f"status of {params}: {answer.text[:300]}")
            check("checksum" in answer.text, f"it does not say what is wrong: {answer.text}")


if __name__ == "__main__":
    main(a_frozen_ingester_fails_queries_by_name, a_running_query_is_listed_and_cancelled,
         what_a_query_costs_in_an_ingester_is_told_while_it_runs,
         a_query_is_explained_and_logged, a_killed_querier_says_what_it_was_evaluating, every_way_to_ask_names_an_ingester_that_is_away,
         too_large_and_too_many_queries_fail_alone, a_damaged_chunk_is_an_error_and_no_gap)
