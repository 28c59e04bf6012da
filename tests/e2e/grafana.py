"""What Grafana's Prometheus data source asks is answered as Prometheus does."""

import gzip
import json
import time
import urllib.parse

from harness import (
    HOST, Exposition, Suite, _bytes_field, _varint, check, free_port, get, main, need_peer, request,
    snappy_block, wait_for, write_request)

STEPS, STEP = 60, 5

HEADERS = {
    "User-Agent": "Grafana/11.2.0",
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip",
    "Origin": "http://grafana:3000",
    "X-Grafana-Org-Id": "1",
    "X-Dashboard-Uid": "fe1f8s4kxdq0wd",
    "X-Panel-Id": "2",
    "X-Query-Tags": "Source=grafana",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
# That a client acts on.
COMPARED_HEADERS = [
    "content-type", "content-encoding", "allow", "access-control-allow-origin", "access-control-allow-headers",
    "access-control-allow-methods", "access-control-expose-headers"]

PAGE = """# HELP scraped_total Counted by the target.
# TYPE scraped_total counter
scraped_total{kind="a"} 1
# HELP scraped_bytes Measured by the target.
# TYPE scraped_bytes gauge
# UNIT scraped_bytes bytes
scraped_bytes 2
"""
CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, external_labels: {cluster: c}}
rule_files: [%s]
scrape_configs:
- job_name: test
  static_configs:
  - targets: ['%s']
    labels: {instance: target, __metrics_path__: /%s}
"""
RULES = """
groups:
- name: first
  rules:
  - {record: "written:sum", expr: sum(written_total), labels: {team: a}}
  - {alert: AlwaysFiring, expr: vector(1), labels: {severity: page}, annotations: {summary: "value {{ $value }}"}}
- name: second
  interval: 10s
  rules:
  - {alert: NeverFiring, expr: vector(0) > 1, for: 5m, keep_firing_for: 1m}
"""


def requests(start, end):
    """(method, path, parameters of the URL, form of the body)."""
    span = {"start": start, "end": end}
    rate = "sum by (code) (rate(written_total[30s]))"
    one = 'written_total{code="200",i="3"}'

    def asked(path, *parameters):
        """By GET and by POST, which Grafana's data source is set to by default."""
        return [ask for p in parameters for ask in (("GET", path, p, None), ("POST", path, None, p))]

    def got(path, *parameters):
        return [("GET", path, p, None) for p in parameters]

    query, query_range, series = "/api/v1/query", "/api/v1/query_range", "/api/v1/series"
    return [
        # "Save and test", and the features of the server.
        *asked(query, {"query": "1+1", "time": end}),
        *got("/api/v1/status/buildinfo", None),
        # Explorer and query builder.
        *got("/api/v1/metadata", None, {"limit": "40000"}, {"metric": "scraped_total"}, {"limit_per_metric": "1"},
             {"limit": "1", "metric": "scraped_bytes"}, {"metric": "written_total"}, {"limit": "x"},
             {"limit_per_metric": "x"}),
        *asked("/api/v1/labels", {**span, "limit": "40000"}, {**span, "match[]": "written_total"},
               {**span, "match[]": ["nothing", 'written_total{code=~"5.."}']}, {**span, "match[]": "{"},
               {**span, "limit": "x"}, {"start": "x"}),
        *got("/api/v1/label/__name__/values", {**span, "limit": "40000"}, {**span, "match[]": '{code="200"}'}),
        *got("/api/v1/label/i/values", {**span, "match[]": 'written_total{code="404"}'}, {"start": end, "end": start}),
        *got("/api/v1/label/U__http_2e_status/values", span),
        *got("/api/v1/label/a%20b/values", span),
        *got("/api/v1/label/nothing/values", span),
        *asked(series, {**span, "match[]": one}, {**span, "match[]": ["scraped_bytes", "written_total"]},
               {**span, "match[]": one, "limit": "40000"}, {"start": start}, {**span, "match[]": '{a=""}'},
               {**span, "match[]": one, "limit": "-1"}, {"start": end, "end": start, "match[]": one},
               # Between two samples.
               {"start": start + STEP + 1, "end": start + STEP + 2, "match[]": "written_total"}),
        # Panels.
        *asked(query, {"query": rate, "time": f"{end:.3f}"}, {"query": one, "time": end, "timeout": "60s"},
               {"query": one, "time": end + 1, "lookback_delta": "500ms"}, {"query": "nothing", "time": end},
               {"query": one, "time": end, "limit": "5"}, {"query": one + "[30s]", "time": end, "limit": "1"}),
        *asked(query_range, {"query": rate, **span, "step": "15"},
               {"query": rate, "start": f"{start + 0.123:.3f}", "end": f"{end:.3f}", "step": "7.5", "timeout": "30"},
               {"query": "written_total", **span, "step": "1m", "limit": "40000"}),
        *asked(query, {"query": one, "time": end, "stats": "true"}, {"query": rate, "time": end, "stats": "all"}),
        *asked(query_range, {"query": rate, **span, "step": "15", "stats": "all"}),
        *asked("/api/v1/query_exemplars", {"query": rate, **span}, {"query": "", **span}, {"query": "1", **span},
               {"query": "up", "start": end, "end": start}),
        # What is wrong is said in the same words.
        *got(query, None, {"query": "sum("}, {"query": "rate(a)"}, {"query": one, "time": "x"},
             {"query": one, "timeout": "x"}, {"query": one, "limit": "x"}, {"query": one, "lookback_delta": "x"}),
        *got(query_range, {"query": rate, **span, "step": "0"}, {"query": rate, **span},
             {"query": rate, "start": end, "end": start, "step": "1"}, {"query": "a[5m]", **span, "step": "15"},
             {"query": rate, "start": start - 86400 * 30, "end": end, "step": "1"}),
        # Alerting.
        *got("/api/v1/rules", None, {"type": "alert"}, {"type": "record"}, {"type": "x"}, {"group_limit": "1"},
             {"group_limit": "x"}, {"group_next_token": "x"}, {"rule_name[]": "AlwaysFiring"},
             {"rule_group[]": "second"}, {"exclude_alerts": "true"}, {"match[]": '{severity="page"}'}),
        *got("/api/v1/alerts", None),
        *got("/api/v1/alertmanagers", None),
        *got("/api/v1/targets", None, {"state": "active"}, {"state": "dropped"}, {"scrapePool": "nothing"}),
        *got("/api/v1/targets/metadata", None, {"limit": "1"}, {"metric": "scraped_bytes"},
             {"match_target": '{instance="target"}'}, {"match_target": "{"}),
        *got("/api/v1/status/runtimeinfo", None),
        *got("/api/v1/status/tsdb", {"limit": "100"}, {"limit": "x"}),
        *asked("/api/v1/format_query", {"query": "sum(rate(a[5m]))by(b)"}, {"query": "a +"}),
        *got("/api/v1/nothing", None),
        ("OPTIONS", query, None, None),
        ("PUT", query, None, None),
    ]


def ask(port, method, path, params, form):
    headers, body = dict(HEADERS), None
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode(form, doseq=True)
    if params:
        path += "?" + urllib.parse.urlencode(params, doseq=True)
    answer = request(port, method, path, body, headers)
    return answer, gzip.decompress(answer.body) if answer.headers.get("Content-Encoding") == "gzip" else answer.body


# What differs from process to process.
OWN = {
    "version", "revision", "branch", "buildUser", "buildDate", "goVersion", "startTime", "CWD", "hostname", "serverTime",
    "lastConfigTime", "goroutineCount", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG", "storageRetention", "timings",
    "peakSamples", "lastScrape", "lastScrapeDuration", "scrapeUrl", "globalUrl", "discoveredLabels", "evaluationTime",
    "lastEvaluation", "activeAt", "scrapeInterval", "groupNextToken", "headStats"}
# Of versions after the installed one.
NEWER = {"samplesRead", "samplesReadPerStep"}


def canonical(value, key=""):
    """Without what is a process's own; of lists without order, sorted."""
    if isinstance(value, dict):
        return {k: "..." if k in OWN else canonical(v, k) for k, v in value.items() if k not in NEWER}
    if isinstance(value, list):
        items = [canonical(v) for v in value]
        # Values and times are in order; label sets and counts need not be.
        return items if key in ("values", "value") else sorted(items, key=lambda v: json.dumps(v, sort_keys=True))
    return value


def seen(port, *what):
    answer, body = ask(port, *what)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    # Small answers are not worth compressing, and HEAD is more than is asked.
    kept = {name: headers.get(name, "") for name in COMPARED_HEADERS}
    if len(body) < 1400:
        kept["content-encoding"] = ""
    kept["allow"] = sorted(set(kept["allow"].split(", ")) - {"HEAD"})
    try:
        content = canonical(json.loads(body))
    except ValueError:
        content = body.decode()
    return answer.status, kept, content


def with_metadata(series, families):
    """A WriteRequest as senders of version 1 make it, with metadata."""
    message = write_request(series)
    for name, kind, help_text in families:
        message += _bytes_field(3, _varint(1 << 3) + _varint(kind) + _bytes_field(2, name.encode())
                                + _bytes_field(4, help_text.encode()))
    return message


def data_source_requests_are_answered_alike():
    prometheus = need_peer("prometheus")
    with Suite() as suite:
        exporter = suite.own(Exposition({"/narthex": PAGE, "/prometheus": PAGE}))
        rules = suite.write("rules.yml", RULES)
        suite.write("prometheus.yml", CONFIG % (rules, exporter.address, "narthex"))
        peer_config = suite.write("peer.yml", CONFIG % (rules, exporter.address, "prometheus"))
        port = free_port()
        peer = suite.peer("prometheus", [
            prometheus, f"--config.file={peer_config}", f"--storage.tsdb.path={suite.folder}/peer",
            f"--web.listen-address={HOST}:{port}", "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage"], port)
        peer.start()
        suite.start("ingester", "querier", "scraper", "ruler")
        end = int(time.time()) // STEP * STEP - STEP
        start = end - STEPS * STEP
        series = [({"__name__": "written_total", "code": code, "i": str(i), "http.status": code},
                   [(1000 * (start + t * STEP), float(t * (i + 1))) for t in range(STEPS + 1)])
                  for code in ("200", "404", "500") for i in range(20)]
        body = snappy_block(with_metadata(series, [("written_total", 1, "Written by a sender.")]))
        for at in (port, suite.querier.port):
            answer = request(at, "POST", "/api/v1/write", body, {
                "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
            check(answer.status == 204, f"remote write: {answer.status} {answer.text}")
        for at in (port, suite.querier.port):
            wait_for("two scrapes", lambda: get(at, "/api/v1/query", {
                "query": "count_over_time(scraped_bytes[1h]) > 1"}).json()["data"]["result"])
            wait_for("the alert and all rules", lambda: '"firing"' in get(at, "/api/v1/rules").text and
                     '"unknown"' not in get(at, "/api/v1/rules").text)
        all_requests = requests(start, end)
        different = []
        for what in all_requests:
            # Scrapes and evaluations go on meanwhile.
            for _ in range(3):
                ours, theirs = seen(suite.querier.port, *what), seen(port, *what)
                if ours == theirs:
                    break
            else:
                different.append(f"{what}\n   ours {ours}\n theirs {theirs}")
        check(not different, f"{len(different)} of {len(all_requests)} answers differ:\n" + "\n".join(different[:12]))
        print(f"        {len(all_requests)} answers equal Prometheus's")


if __name__ == "__main__":
    main(data_source_requests_are_answered_alike)
