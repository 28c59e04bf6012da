"""A node exporter seen by Narthex and by Prometheus gives the same answers."""

import os
import re
import subprocess
import time

from harness import (
    HOST, Exposition, Service, Skipped, Suite, check, check_equal, free_port, get, main, need_peer, need_program,
    remote_write, scrape_config, wait_for)

SCRAPES = 60
STEP_MS = 1000

# What is asked of both, over the minute that was scraped.
INSTANT = [
    "rate(node_cpu_seconds_total[30s])",
    "sum by (mode) (rate(node_cpu_seconds_total[30s]))",
    "sum by (mode) (node_cpu_seconds_total)",
    "1 - avg by (instance) (rate(node_cpu_seconds_total{mode='idle'}[30s]))",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "topk(3, node_filesystem_size_bytes)",
    "irate(node_network_receive_bytes_total[20s])",
    "increase(node_context_switches_total[45s])",
    "histogram_quantile(0.9, rate(promhttp_metric_handler_requests_total[30s]))",
    "max_over_time(node_load1[1m])",
    "quantile_over_time(0.5, node_procs_running[1m])",
    "count by (__name__) ({job='test'})",
    "node_cpu_seconds_total offset 20s",
    "label_replace(node_uname_info, 'short', '$1', 'release', '([0-9]+).*')",
    "deriv(node_memory_MemFree_bytes[40s])",
    "changes(node_procs_running[1m]) > 0",
    "avg_over_time(rate(node_cpu_seconds_total{mode='user'}[10s])[40s:5s])",
    "node_load1 and on (instance) node_load5",
    "sort_desc(sum by (device) (node_disk_read_bytes_total))",
    "absent(nonexistent)",
    "stddev(node_cpu_seconds_total)",
    "time() - node_boot_time_seconds",
    "vector(1)",
    "1 + 1",
]
RANGE = [
    "rate(node_cpu_seconds_total[30s])",
    "sum by (mode) (rate(node_cpu_seconds_total[20s]))",
    "node_load1",
    "avg without (cpu) (node_cpu_seconds_total)",
    "predict_linear(node_memory_MemFree_bytes[30s], 60)",
    "count({__name__=~'node_.+'})",
]


def record_pages(suite):
    """The pages of a real node exporter, one a second, each sample stamped."""
    binary = need_program("prometheus-node-exporter")
    port = free_port()
    log = open(os.path.join(suite.folder, "exporter.log"), "wb")
    exporter = subprocess.Popen([binary, f"--web.listen-address={HOST}:{port}"], stdout=log, stderr=log)
    try:
        wait_for("the exporter", lambda: get(port, "/metrics").status == 200)
        pages = []
        end = int(time.time() * 1000) // STEP_MS * STEP_MS
        for i in range(SCRAPES):
            # The load between two pages makes the counters move.
            until = time.time() + 0.1
            while time.time() < until:
                pass
            stamp = end - (SCRAPES - 1 - i) * STEP_MS
            lines = get(port, "/metrics").text.splitlines()
            pages.append("\n".join(
                line if line.startswith("#") or not line else f"{line} {stamp}" for line in lines) + "\n")
        return pages, end
    finally:
        exporter.kill()
        exporter.wait()


def comparable(answer):
    """Status, warnings and data, with the order of a vector made the same."""
    body = answer.json()
    data = body.get("data")
    if isinstance(data, dict) and isinstance(data.get("result"), list) and data["resultType"] in ("vector", "matrix"):
        data = {**data, "result": sorted(data["result"], key=lambda s: sorted(s["metric"].items()))}
    # Prometheus names the metric in some texts only up to 3.5.
    notes = [[re.sub(' for metric name "[^"]*"', "", text) for text in body.get(kind, [])]
             for kind in ("warnings", "infos")]
    return answer.status, body["status"], notes, data


def answers_equal_those_of_prometheus():
    prometheus_binary = need_peer("prometheus")
    with Suite() as suite:
        pages, end_ms = record_pages(suite)

        def page(number):
            return pages[min(number, SCRAPES - 1)]
        # Each has its own path and so sees every page once.
        exporter = suite.own(Exposition({"/narthex": page, "/prometheus": page}))
        config = "\n".join([
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms}",
            "scrape_configs:",
            "- job_name: test",
            "  static_configs:",
            "  - targets: ['%s']" % exporter.address,
            "    labels: {instance: node, __metrics_path__: /%s}\n"])
        suite.write("prometheus.yml", config % "narthex")
        peer_config = suite.write("peer.yml", config % "prometheus")
        port = free_port()
        peer = suite.peer("prometheus", [
            prometheus_binary, f"--config.file={peer_config}", f"--storage.tsdb.path={suite.folder}/peer",
            f"--web.listen-address={HOST}:{port}", "--web.enable-remote-write-receiver"], port)
        peer.start()
        suite.start("ingester", "querier", "scraper")
        for path in ("/narthex", "/prometheus"):
            wait_for(f"all pages to be scraped from {path}",
                     lambda: exporter.counts.get(path, 0) > SCRAPES + 2, timeout=60)
        end = end_ms / 1000
        begin = end - (SCRAPES - 1) * STEP_MS / 1000
        wait_for("the newest samples", lambda: suite.value("timestamp(node_load1)", end) == end)
        checks = [("/api/v1/query", {"query": e, "time": end}) for e in INSTANT]
        checks += [("/api/v1/query", {"query": e, "time": end - 7.3}) for e in INSTANT]
        checks += [("/api/v1/query_range", {"query": e, "start": begin, "end": end, "step": step})
                   for e in RANGE for step in ("5", "1.7")]
        span = {"start": begin, "end": end}
        checks += [
            ("/api/v1/labels", span),
            ("/api/v1/label/__name__/values", span),
            ("/api/v1/label/mode/values", span),
            ("/api/v1/label/mode/values", {**span, "match[]": 'node_cpu_seconds_total{mode!="idle"}'}),
            ("/api/v1/series", {**span, "match[]": "node_cpu_seconds_total"}),
            ("/api/v1/series", {**span, "match[]": ['{__name__=~"node_load.*"}', "node_boot_time_seconds"]}),
        ]
        different = []
        for path, params in checks:
            ours, theirs = get(suite.querier.port, path, params), get(port, path, params)
            check(theirs.status == 200, f"Prometheus refuses {params}: {theirs.text}")
            if comparable(ours) != comparable(theirs):
                different.append(f"{path} {params}\n   ours {ours.text[:600]}\n theirs {theirs.text[:600]}")
        check(not different, f"{len(different)} of {len(checks)} answers differ:\n" + "\n".join(different[:5]))
        print(f"{len(checks)} answers equal Prometheus's")


def series_of_the_head_come_in_the_order_of_prometheus():
    prometheus_binary = need_peer("prometheus")
    created = [9, 3, 7, 1, 8, 2, 6, 0, 5, 4]
    features = "--enable-feature=promql-experimental-functions,promql-per-step-stats"
    with Suite() as suite:
        config, port = suite.write("peer.yml", "global: {}\n"), free_port()
        peer = suite.peer("prometheus", [
            prometheus_binary, f"--config.file={config}", f"--storage.tsdb.path={suite.folder}/peer",
            f"--web.listen-address={HOST}:{port}", "--web.enable-remote-write-receiver", features], port)
        peer.start()
        suite.add("querier", flags=[features])
        suite.start("ingester", "querier")
        now = int(time.time())
        for i in created:
            for server in (suite.querier.port, port):
                check_equal(remote_write(server, [
                    ({"__name__": "m", "i": str(i)}, [(1000 * (now - 60 + t), 1.0) for t in range(60)])]).status,
                            204, "status of writing")
        wait_for("the samples", lambda: suite.value("count(m)", now) == len(created))

        def data(server, path, params):
            answer = get(server, "/api/v1/" + path, {**params, "stats": "all"})
            check_equal(answer.status, 200, answer.text)
            data = answer.json()["data"]
            return data["result"], data["stats"]["samples"]["totalQueryableSamplesPerStep"]
        for _ in range(2):
            for query in ("m", "limitk(3, m)", "topk(3, m)", "bottomk(3, m)", "-m", "topk(2, rate(m[30s]))"):
                for path, params in (("query", {"time": now}),
                                     ("query_range", {"start": now - 50, "end": now, "step": 7})):
                    params = {**params, "query": query}
                    check_equal(data(suite.querier.port, path, params), data(port, path, params), f"{path} {params}")
            # Also of what the log tells.
            for service in (suite.ingester, peer):
                service.kill()
                service.start()


if __name__ == "__main__":
    main(answers_equal_those_of_prometheus, series_of_the_head_come_in_the_order_of_prometheus)
