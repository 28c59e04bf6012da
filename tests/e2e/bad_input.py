"""Bad input gets a clear error, and nobody else suffers."""

import glob
import os
import time

from harness import (
    HOST, Exposition, Suite, check, check_equal, get, main, remote_write, request, scrape_config, snappy_block,
    wait_for, write_request)

GOOD = scrape_config(["127.0.0.1:1"])
BAD_CONFIGS = [
    # (text, what the error must name besides the file)
    ("global:\n  scrape_intervall: 5s\n", ["line 2", "scrape_intervall"]),
    ("scrape_configs:\n- job_name: a\n- job_name: a\n", ["line 3", "job"]),
    ("scrape_configs:\n- static_configs: []\n", ["line 2", "job_name"]),
    ("scrape_configs:\n- job_name: a\n  scrape_interval: soon\n", ["line 3", "scrape_interval"]),
    ("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {action: drop, regex: '('}\n", ["line 4", "regex"]),
    ("global: [\n", ["line"]),
]


def a_broken_prometheus_yml_is_refused_and_the_old_one_stays():
    with Suite(GOOD) as suite:
        suite.start("ingester", "querier", "scraper", "ruler")
        wait_for("the target", lambda: suite.value("up") == 0)
        for text, named in BAD_CONFIGS:
            suite.write("prometheus.yml", text)
            for service in (suite.scraper, suite.querier, suite.ruler):
                answer = request(service.port, "POST", "/-/reload")
                check_equal(answer.status, 500, f"reload of {service.name} with {text!r}: {answer.text}")
                for word in ["prometheus.yml", *named]:
                    check(word in answer.text, f"{service.name} does not name {word!r}: {answer.text}")
                check_equal(service.metric("prometheus_config_last_reload_successful"), 0.0, service.name)
        check_equal(len(suite.api("/targets")["activeTargets"]), 1, "targets of the old configuration")
        check("127.0.0.1:1" in suite.api("/status/config")["yaml"], "the old configuration is gone")
        suite.write("prometheus.yml", scrape_config(["127.0.0.1:1", "127.0.0.1:2"]))
        for service in (suite.scraper, suite.querier, suite.ruler):
            check_equal(request(service.port, "POST", "/-/reload").status, 200, f"reload of {service.name}")
            check_equal(service.metric("prometheus_config_last_reload_successful"), 1.0, service.name)
        wait_for("both targets", lambda: len(suite.api("/targets")["activeTargets"]) == 2)


def a_service_does_not_start_with_a_broken_file():
    with Suite("global: {x: y}\n", alertmanager_config="route: {}\n") as suite:
        for name, words in (("scraper", ["prometheus.yml", "line 1", "x"]), ("alertmanager", ["alertmanager.yml"])):
            service = suite.add(name)
            service.start(wait=False)
            check(service.process.wait(20) != 0, f"{name} started")
            for word in words:
                check(word in service.log_tail(), f"{name} does not name {word!r}: {service.log_tail()}")


def a_broken_exposition_is_told_on_its_target_only():
    good = Exposition({"/metrics": "good 1\n"})
    bad = Exposition({"/metrics": "fine 1\nbroken{ 1\n"})
    with Suite(scrape_config([good.address, bad.address])) as suite:
        suite.own(good)
        suite.own(bad)
        suite.start("ingester", "querier", "scraper")
        wait_for("both to be scraped", lambda: suite.value("count(up)") == 2)
        check_equal(suite.value(f'up{{instance="{good.address}"}}'), 1.0, "up of the good target")
        check_equal(suite.value(f'up{{instance="{bad.address}"}}'), 0.0, "up of the broken target")
        check_equal((suite.value("good"), suite.query("fine")), (1.0, []), "samples")
        errors = {t["labels"]["instance"]: t["lastError"] for t in suite.api("/targets")["activeTargets"]}
        check_equal(errors[good.address], "", "error of the good target")
        check("line 2" in errors[bad.address], errors[bad.address])


def a_broken_query_is_told_with_position_and_reason():
    with Suite(GOOD) as suite:
        suite.start("ingester", "querier")
        for query, words in (
                ("sum(", ["1:5", "parse error"]), ("up{a=b}", ["1:6", "parse error"]),
                ("rate(up)", ["1:6", "range vector"]), ("foo[5m", ["parse error"]), ("", ["no expression found in input"]),
                ("up{a=~'('}", ["error parsing regexp"]), ("nofunction(up)", ["unknown function"])):
            answer = get(suite.querier.port, "/api/v1/query", {"query": query})
            body = answer.json()
            check_equal((answer.status, body["status"], body["errorType"]), (400, "error", "bad_data"), query)
            for word in words:
                check(word in body["error"], f"{query!r}: {word!r} is not in {body['error']!r}")
        for params in ({"query": "up", "start": 2, "end": 1, "step": 1}, {"query": "up", "start": 1, "end": 2, "step": 0},
                       {"query": "up", "start": 0, "end": 1e6, "step": 1}, {"query": "up", "start": "x", "end": 1, "step": 1}):
            answer = get(suite.querier.port, "/api/v1/query_range", params)
            check_equal((answer.status, answer.json()["errorType"]), (400, "bad_data"), str(params))
        check_equal(get(suite.querier.port, "/api/v1/series").status, 400, "series without a matcher")
        check_equal(get(suite.querier.port, "/api/v1/nothing").status, 404, "unknown path")


def broken_and_oversized_writes_are_refused():
    with Suite(GOOD) as suite:
        suite.start("ingester", "querier", "pushgateway")
        port = suite.querier.port
        now = int(time.time() * 1000)
        series = [({"__name__": "w", "a": "b"}, [(now, 1)])]
        good = snappy_block(write_request(series))
        for what, body in (("not snappy", b"\xff" * 40), ("not protobuf", snappy_block(b"\x0a\xff\xff")),
                           ("cut", good[:-3])):
            answer = request(port, "POST", "/api/v1/write", body)
            check_equal(answer.status, 400, f"{what}: {answer.text}")
        huge = bytes([0xFF, 0xFF, 0xFF, 0xFF, 0x0F]) + b"\0" * 10  # Says it is 4 GiB long.
        answer = request(port, "POST", "/api/v1/write", huge)
        check(answer.status in (400, 413), f"declared length: {answer.status} {answer.text}")
        for name, path in (("querier", "/api/v1/write"), ("pushgateway", "/metrics/job/x")):
            try:
                answer = request(suite.services[name].port, "POST", path, b"x" * (300 << 20))
                check_equal(answer.status, 413, f"oversized body to {name}")
            except (BrokenPipeError, ConnectionResetError):
                pass  # Refused before all of it was read.
            check_equal(get(suite.services[name].port, "/-/healthy").status, 200, name)
        check_equal(remote_write(port, series).status, 204, "a good write")
        late = [({"__name__": "w", "a": "b"}, [(now - 5000, 1)])]
        answer = remote_write(port, late)
        check_equal(answer.status, 400, "out of order: " + answer.text)
        check("out of order" in answer.text, answer.text)
        answer = remote_write(port, [({"__name__": "w", "a": "b"}, [(now, 2)])])
        check_equal(answer.status, 400, "duplicate: " + answer.text)
        check_equal(suite.value("w"), 1.0, "the sample")


def a_truncated_log_is_repaired_logged_and_counted():
    with Suite(GOOD) as suite:
        suite.start("ingester", "querier")
        now = int(time.time() * 1000)
        for step in range(20):
            answer = remote_write(suite.querier.port, [
                ({"__name__": "kept", "i": str(i)}, [(now + step, step)]) for i in range(20)])
            check_equal(answer.status, 204, answer.text)
        suite.ingester.kill()
        segment = max(glob.glob(os.path.join(suite.folder, "ingester", "wal", "0*")), key=os.path.getsize)
        with open(segment, "r+b") as f:
            f.truncate(os.path.getsize(segment) - 5)
        suite.ingester.start()
        check_equal(suite.ingester.metric("prometheus_tsdb_wal_corruptions_total"), 1.0, "corruptions")
        log = suite.ingester.log_tail()
        check("segment" in log and "level=warn" in log, log)
        counts = [float(r["value"][1]) for r in suite.query("count_over_time(kept[1h])", now / 1000 + 60)]
        check(len(counts) == 20 and min(counts) >= 19, f"samples left: {counts}")
        answer = remote_write(suite.querier.port, [({"__name__": "kept", "i": "0"}, [(now + 1000, 1)])])
        check_equal(answer.status, 204, answer.text)


if __name__ == "__main__":
    main(a_broken_prometheus_yml_is_refused_and_the_old_one_stays, a_service_does_not_start_with_a_broken_file,
         a_broken_exposition_is_told_on_its_target_only, a_broken_query_is_told_with_position_and_reason,
         broken_and_oversized_writes_are_refused, a_truncated_log_is_repaired_logged_and_counted)
