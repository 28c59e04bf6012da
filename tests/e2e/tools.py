"""The tools that people use with Prometheus work unchanged."""

import json
import os
import subprocess
import time

from harness import (
    HOST, Exposition, Skipped, Suite, check, check_equal, get, main, need_peer, need_program, request, scrape_config,
    wait_for)


def run(*command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    check(done.returncode == status, f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def promtool_queries():
    promtool = need_peer("promtool")
    exporter = Exposition({"/metrics": 'up_and_running{zone="a"} 3\nup_and_running{zone="b"} 4\n'})
    with Suite(scrape_config([exporter.address])) as suite:
        suite.own(exporter)
        suite.start("ingester", "querier", "scraper")
        wait_for("samples", lambda: suite.value("sum(up_and_running)") == 7)
        url = f"http://{HOST}:{suite.querier.port}"
        out = run(promtool, "query", "instant", url, "sum by (zone) (up_and_running)")
        check('{zone="a"} => 3 @' in out and '{zone="b"} => 4 @' in out, out)
        now = int(time.time())
        out = run(promtool, "query", "range", f"--start={now - 5}", f"--end={now + 5}", "--step=1s", url,
                  "sum(up_and_running)")
        check("7 @[" in out, out)
        out = run(promtool, "query", "series", "--match=up_and_running", url)
        check_equal(len(out.strip().splitlines()), 2, out)
        out = run(promtool, "query", "labels", url, "zone")
        check_equal(out.split(), ["a", "b"], "label values")
        run(promtool, "check", "healthy", f"--url={url}")
        run(promtool, "check", "ready", f"--url={url}")
        out = subprocess.run([promtool, "query", "instant", url, "sum("], capture_output=True, text=True, timeout=60)
        check(out.returncode != 0 and "parse error" in out.stderr, out.stderr)


def amtool_alerts_and_silences():
    amtool = need_peer("amtool")
    with Suite() as suite:
        suite.start("alertmanager")
        url = f"--alertmanager.url=http://{HOST}:{suite.alertmanager.port}"
        run(amtool, "alert", "add", "alertname=Leak", "severity=low", "--annotation=summary=drip", url)
        alerts = json.loads(run(amtool, "alert", "query", "-o", "json", url))
        check_equal([a["labels"] for a in alerts], [{"alertname": "Leak", "severity": "low"}], "alerts")
        check_equal(alerts[0]["annotations"]["summary"], "drip", "annotation")
        silence = run(amtool, "silence", "add", "alertname=Leak", "--comment=known", "--author=me", "--duration=1h",
                      url).strip()
        check_equal(json.loads(run(amtool, "silence", "query", "-o", "json", url))[0]["id"], silence, "silence")
        check_equal(json.loads(run(amtool, "alert", "query", "-o", "json", url)), [], "alerts not silenced")
        check_equal(len(json.loads(run(amtool, "alert", "query", "-s", "-o", "json", url))), 1, "silenced alerts")
        run(amtool, "silence", "expire", silence, url)
        check_equal(json.loads(run(amtool, "silence", "query", "-o", "json", url)), [], "silences")
        check_equal(len(json.loads(run(amtool, "alert", "query", "-o", "json", url))), 1, "alerts again")
        check("route" in run(amtool, "config", "show", url), "the configuration is not shown")


def curl_asks_in_all_ways():
    curl = need_program("curl")
    exporter = Exposition({"/metrics": "answer 42\n"})
    with Suite(scrape_config([exporter.address])) as suite:
        suite.own(exporter)
        suite.start("ingester", "querier", "scraper")
        wait_for("samples", lambda: suite.value("answer") == 42)
        url = f"http://{HOST}:{suite.querier.port}"
        for arguments in (["-G", "--data-urlencode", "query=answer"],
                          ["--data-urlencode", "query=answer"],
                          ["--compressed", "-G", "--data-urlencode", "query=answer"]):
            out = json.loads(run(curl, "-sS", f"{url}/api/v1/query", *arguments))
            check_equal(out["data"]["result"][0]["value"][1], "42", " ".join(arguments))
        check_equal(run(curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/-/healthy"), "200", "health")
        target = suite.api("/targets")["activeTargets"][0]
        check_equal((target["health"], target["lastError"], target["labels"]),
                    ("up", "", {"instance": exporter.address, "job": "test"}), "target")
        check("answer 42" in run(curl, "-sS", target["scrapeUrl"]), "the target's own answer")


def a_job_pushes_and_its_sample_is_queryable():
    try:
        from prometheus_client import CollectorRegistry, Gauge, delete_from_gateway, push_to_gateway, pushadd_to_gateway
    except ImportError:
        raise Skipped("python3-prometheus-client is not installed") from None
    with Suite() as suite:
        suite.start("ingester", "querier", "pushgateway")
        gateway = f"{HOST}:{suite.pushgateway.port}"
        suite.write("prometheus.yml", scrape_config([gateway]).replace("job_name: test", "job_name: test\n  honor_labels: true"))
        suite.start("scraper")
        registry = CollectorRegistry()
        Gauge("job_last_success", "When it went well.", registry=registry).set(1700000000)
        push_to_gateway(gateway, job="nightly", registry=registry)
        wait_for("the pushed sample", lambda: suite.value('job_last_success{job="nightly"}') == 1700000000)
        check_equal(suite.query("job_last_success")[0]["metric"], {"__name__": "job_last_success", "job": "nightly"},
                    "labels")
        check(suite.value('push_time_seconds{job="nightly"}') > 1700000000, "push time")
        other = CollectorRegistry()
        Gauge("job_rows", "Rows done.", registry=other).set(5)
        pushadd_to_gateway(gateway, job="nightly", registry=other, grouping_key={"shard": "1"})
        wait_for("the second group", lambda: suite.value('job_rows{job="nightly",shard="1"}') == 5)
        delete_from_gateway(gateway, job="nightly")
        wait_for("the first group to go", lambda: not suite.query('job_last_success{job="nightly"}'))
        check_equal(suite.value("job_rows"), 5.0, "the other group")


if __name__ == "__main__":
    main(promtool_queries, amtool_alerts_and_silences, curl_asks_in_all_ways,
         a_job_pushes_and_its_sample_is_queryable)
