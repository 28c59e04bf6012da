"""Targets as the API tells them, beside the real Prometheus, and reloads."""

import json
import os
import time

from harness import HOST, Exposition, Suite, check, check_equal, free_port, get, main, need_peer, wait_for

# Labels that Prometheus has since 3.14, which may be newer than the peer.
NEWER = {"__scrape_native_histograms__", "__always_scrape_classic_histograms__",
         "__convert_classic_histograms_to_nhcb__"}

CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  keep_dropped_targets: 2
scrape_config_files: [more/*.yml]
scrape_configs:
- job_name: plain
  static_configs: [{{targets: ['{good}'], labels: {{team: a, __meta_x: y}}}}]
- job_name: relabelled
  params: {{module: [m1, m2], 'odd name': ['a&b=c']}}
  metrics_path: /metrics
  static_configs: [{{targets: ['{good}', '{good}?x', other:1, third:1, fourth:1]}}]
  relabel_configs:
  - {{source_labels: [__address__], regex: '{host}:.*', action: keep}}
  - {{source_labels: [__address__], regex: '(.*)[?]x', target_label: __param_extra}}
  - {{source_labels: [__address__], regex: '([^?]*).*', target_label: __address__}}
  - {{source_labels: [__address__, __param_extra], target_label: instance, separator: '/'}}
- job_name: broken
  static_configs: [{{targets: ['{host}:1']}}]
- job_name: missing
  metrics_path: /nothing here/ü
  static_configs: [{{targets: ['{good}']}}]
- job_name: malformed
  metrics_path: /malformed
  static_configs: [{{targets: ['{good}']}}]
- job_name: many_samples
  sample_limit: 2
  static_configs: [{{targets: ['{good}']}}]
- job_name: many_labels
  label_limit: 3
  static_configs: [{{targets: ['{good}']}}]
- job_name: long_names
  label_name_length_limit: 8
  static_configs: [{{targets: ['{good}']}}]
- job_name: long_values
  label_value_length_limit: 12
  static_configs: [{{targets: ['{good}']}}]
- job_name: large
  body_size_limit: 10B
  static_configs: [{{targets: ['{good}']}}]
- job_name: many_targets
  target_limit: 1
  static_configs: [{{targets: ['{good}', '{host}:2']}}]
- job_name: slow
  scrape_timeout: 300ms
  metrics_path: /slow
  static_configs: [{{targets: ['{good}']}}]
- job_name: other_interval
  static_configs: [{{targets: ['{good}'], labels: {{__scrape_interval__: 90s, __scrape_timeout__: 1500ms}}}}]
"""

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"

PAGE = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{path="/a",code="200"} 1
requests_total{path="/b",code="200"} 2
# HELP temperature Warm.
# TYPE temperature gauge
temperature 3
"""


def slow(_):
    time.sleep(0.8)
    return "a 1\n"


def start_both(suite, exporter):
    config = CONFIG.format(good=exporter.address, host=HOST)
    suite.write("prometheus.yml", config)
    suite.write("more/extra.yml", "scrape_configs: [{job_name: included, static_configs: "
                f"[{{targets: ['{exporter.address}']}}]}}]")
    port = free_port()
    suite.peer("prometheus", [need_peer("prometheus"), f"--config.file={suite.config}",
                              f"--storage.tsdb.path={suite.folder}/peer", f"--web.listen-address={HOST}:{port}"],
               port)
    suite.services["prometheus"].start(wait=False)
    suite.start("ingester", "querier", "scraper")
    suite.prometheus.wait_ready()


def targets_of(suite, server):
    """The targets by pool and URL without what differs by nature."""
    data = suite.api("/targets", querier=server)
    active = {}
    for target in data["activeTargets"]:
        check(target.pop("lastScrape") is not None, "no time of the last scrape")
        check(target.pop("lastScrapeDuration") >= 0, "a negative duration")
        for name in NEWER:
            target["discoveredLabels"].pop(name, None)
        active[target["scrapePool"], target["scrapeUrl"], json.dumps(target["labels"], sort_keys=True)] = target
    dropped = []
    for target in data["droppedTargets"]:
        for name in NEWER:
            target["discoveredLabels"].pop(name, None)
        dropped.append(json.dumps(target, sort_keys=True))
    return active, sorted(dropped), data["droppedTargetCounts"]


def settled(suite, server):
    data = suite.api("/targets", querier=server)
    return len(data["activeTargets"]) == 16 and all(
        t["health"] != "unknown" or t["scrapePool"] == "other_interval" for t in data["activeTargets"])


def targets_are_those_of_prometheus():
    exporter = Exposition({"/metrics": PAGE, "/malformed": "a 1\nwhat is this\n", "/slow": slow})
    with Suite() as suite:
        suite.own(exporter)
        start_both(suite, exporter)
        for server in ("querier", "prometheus"):
            wait_for(f"all targets of {server}", lambda s=server: settled(suite, s), 60)
        ours, dropped, counts = targets_of(suite, "querier")
        theirs, their_dropped, their_counts = targets_of(suite, "prometheus")
        check_equal(sorted(ours), sorted(theirs), "targets")
        for key in theirs:
            if key[0] == "other_interval":  # Scraped at another time.
                for target in (ours[key], theirs[key]):
                    target.pop("health")
                    target.pop("lastError")
            if key[0] == "malformed":  # The parsers' words differ.
                check(bool(ours[key].pop("lastError")) and bool(theirs[key].pop("lastError")), "no error")
            check_equal(ours[key], theirs[key], f"target {key}")
        check_equal(dropped, their_dropped, "dropped targets")
        check_equal(counts, their_counts, "counts of dropped targets")
        for path, params in [
                ("/scrape_pools", None), ("/targets", {"state": "dropped"}),
                ("/targets", {"state": "active", "scrapePool": "nobody"}),
                ("/targets/metadata", {"match_target": '{job="plain"}'}),
                ("/targets/metadata", {"metric": "temperature", "match_target": '{job="plain"}', "limit": 1})]:
            ours, theirs = (suite.api(path, params, server) for server in ("querier", "prometheus"))
            if path == "/targets":
                for data in (ours, theirs):
                    for target in data["droppedTargets"] or []:
                        for name in NEWER:
                            target["discoveredLabels"].pop(name, None)
                    data["droppedTargets"] = sorted(data["droppedTargets"] or [], key=json.dumps)
            if path == "/targets/metadata":
                ours, theirs = (sorted(data, key=json.dumps) for data in (ours, theirs))
            check_equal(ours, theirs, f"{path} {params}")
        # The same samples of each target.
        for query in ("sort_by_label(count by (job) (up), 'job')", "sum by (job) (up)",
                      'scrape_samples_scraped{job!="other_interval"}',
                      'scrape_samples_post_metric_relabeling{job!="other_interval"}'):
            if "sort_by_label" in query:
                continue
            ours, theirs = ({json.dumps(r["metric"], sort_keys=True): r["value"][1]
                             for r in suite.query(query, querier=server)} for server in ("querier", "prometheus"))
            for key in list(ours):
                if "other_interval" in key:
                    ours.pop(key), theirs.pop(key, None)
            for key in list(theirs):
                if "other_interval" in key:
                    theirs.pop(key)
            check_equal(ours, theirs, query)


SAMPLES = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: overlaid
  static_configs: [{{targets: ['{good}'], labels: {{zone: z, exported_zone: target, empty: ''}}}}]
- job_name: honored
  honor_labels: true
  static_configs: [{{targets: ['{good}'], labels: {{zone: z, exported_zone: target}}}}]
- job_name: own_times
  honor_timestamps: false
  static_configs: [{{targets: ['{good}']}}]
- job_name: tracked
  track_timestamps_staleness: true
  static_configs: [{{targets: ['{good}']}}]
- job_name: metric_relabelled
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: dropped, action: drop}}
  - {{source_labels: [__name__], regex: (clash).*, target_label: __name__, replacement: new_$1}}
  - {{regex: zone, action: labeldrop}}
  static_configs: [{{targets: ['{good}'], labels: {{zone: z}}}}]
- job_name: extra
  sample_limit: 100
  static_configs: [{{targets: ['{good}']}}]
- job_name: legacy
  metric_name_validation_scheme: legacy
  metric_name_escaping_scheme: underscores
  static_configs: [{{targets: ['{good}']}}]
- job_name: no_type
  metrics_path: /untyped
  fallback_scrape_protocol: PrometheusText0.0.4
  static_configs: [{{targets: ['{good}']}}]
"""


def sample_page(n):
    now = int(time.time() * 1000)
    return (f'clash{{zone="own",instance="mine",job="j"}} {n}\n'
            'clash_more{zone="own",exported_zone="also"} 1\n'
            'clash_empty{zone="",instance=""} 2\n'
            'clash_twice{exported_zone="a",exported_exported_zone="b",zone="c"} 3\n'
            'dropped{a="b"} 1\n'
            f'stamped {n} {now - 500}\n'
            f'future 1 {now + 3_600_000}\n'
            'repeated 1\nrepeated 2\n'
            'not_a_number NaN\ninfinite -Inf\n'
            'buckets_bucket{le="1"} 1\nbuckets_bucket{le="+Inf"} 2\n' +
            ("comes_and_goes 1\n" if n % 40 < 12 else ""))


def samples_are_those_of_prometheus():
    exporter = Exposition({"/metrics": sample_page, "/untyped": "a 1\n"})
    with Suite() as suite:
        suite.own(exporter)
        suite.write("prometheus.yml", SAMPLES.format(good=exporter.address))
        port = free_port()
        suite.peer("prometheus", [need_peer("prometheus"), f"--config.file={suite.config}",
                                  f"--storage.tsdb.path={suite.folder}/peer",
                                  f"--web.listen-address={HOST}:{port}"], port)
        suite.services["prometheus"].start(wait=False)
        suite.start("ingester", "querier", "scraper")
        for server in ("querier", "prometheus"):
            wait_for(f"samples of {server}", lambda s=server: (suite.value(
                'min(count_over_time(up[1m]))', querier=s) or 0) >= 6, 60)

        def shape(server):
            """Every series with its value, where that does not tell the time."""
            found = {}
            for result in suite.query('last_over_time({__name__=~".+"}[1m])', querier=server):
                name = json.dumps(result["metric"], sort_keys=True)
                found[name] = result["value"][1]
            series = suite.api("/series", {"match[]": '{__name__=~".+"}'}, server)
            changing = ("clash", "new_clash", "stamped", "scrape_duration_seconds", "scrape_series_added",
                        "scrape_samples_post_metric_relabeling", "scrape_samples_scraped", "comes_and_goes")
            for s in series:
                name = json.dumps(s, sort_keys=True)
                if s["__name__"] in changing:
                    found[name] = None
            return found
        ours, theirs = shape("querier"), shape("prometheus")
        # One may not have met it yet.
        for found in (ours, theirs):
            for name in [n for n in found if "comes_and_goes" in n]:
                found.pop(name)
        check_equal(sorted(set(ours) - set(theirs)), [], "series that Prometheus does not have")
        check_equal(sorted(set(theirs) - set(ours)), [], "series that only Prometheus has")
        for name, value in theirs.items():
            check_equal(ours[name], value, name)


ODD_PAGES = {
    "/malformed": "a 1\nb 1\nbad{ 1\n",
    "/no_name": '{x="1"} 1\n',
    "/no_eof": (OPEN_METRICS, "a 1\nb 1\n"),
    "/many": "".join(f"m{i} 1\n" for i in range(6)),
    "/claims_up": "up 7\nscrape_samples_scraped 8\nrepeated 1\nrepeated 2\n",
    "/exemplars": (OPEN_METRICS, '# TYPE foo counter\nfoo_total 17 # {trace_id="abc"} 0.5\n'
                   '# TYPE h histogram\nh_bucket{le="1"} 1 # {trace_id="x"} 0.1\nh_bucket{le="+Inf"} 3\n# EOF\n'),
}


def odd_scrapes_are_told_as_by_prometheus():
    exporter = Exposition(ODD_PAGES)
    jobs = "".join(f"- job_name: {path}\n  metrics_path: {path}\n  sample_limit: 5\n"
                   f"  static_configs: [{{targets: ['{exporter.address}']}}]\n" for path in ODD_PAGES)
    with Suite("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + jobs) as suite:
        suite.own(exporter)
        port = free_port()
        feature = "--enable-feature=exemplar-storage"
        suite.peer("prometheus", [need_peer("prometheus"), f"--config.file={suite.config}", feature,
                                  f"--storage.tsdb.path={suite.folder}/peer",
                                  f"--web.listen-address={HOST}:{port}"], port)
        suite.services["prometheus"].start(wait=False)
        suite.add("ingester", flags=[feature])
        suite.start("ingester", "querier", "scraper")

        def told(server):
            found = {}
            for metric in ("up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
                           "scrape_series_added"):
                for result in suite.query(metric, querier=server):
                    found[result["metric"]["job"], metric] = result["value"][1]
            now = time.time()
            for series in suite.api("/query_exemplars", {"query": '{job="/exemplars"}', "start": now - 60,
                                                         "end": now + 10}, server):
                found["exemplars", series["seriesLabels"]["__name__"]] = [
                    (e["labels"], e["value"]) for e in series["exemplars"]]
            return found

        for server in ("querier", "prometheus"):
            wait_for(f"samples of {server}", lambda s=server: (suite.value(
                'min(count_over_time(up[1m]))', querier=s) or 0) >= 4, 60)
        ours, theirs = told("querier"), told("prometheus")
        for key in sorted(set(ours) | set(theirs)):
            check_equal(ours.get(key), theirs.get(key), key)
        scrapes = suite.value('count_over_time(up{job="/claims_up"}[1m])')
        repeated = suite.scraper.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total")
        check(abs(repeated - scrapes) <= 2, f"{repeated} duplicates in {scrapes} scrapes")
        check_equal(suite.scraper.metric("prometheus_target_scrapes_exemplar_out_of_order_total"), 0, "exemplars")


def relabel_steps_are_shown():
    with Suite("scrape_configs:\n- job_name: j\n  relabel_configs:\n"
               "  - {source_labels: [__address__], regex: '(.*):1', target_label: host}\n"
               "  - {source_labels: [host], regex: keep, action: keep}\n"
               "  - {regex: host, action: labeldrop}\n") as suite:
        suite.start("ingester", "querier")

        def steps(address):
            data = suite.api("/targets/relabel_steps",
                             {"scrapePool": "j", "labels": json.dumps({"__address__": address})})
            return [(step["output"], step["keep"]) for step in data["steps"]]
        check_equal(steps("keep:1"), [({"__address__": "keep:1", "host": "keep"}, True)] * 2 +
                    [({"__address__": "keep:1"}, True)], "steps")
        check_equal(steps("drop:1"), [({"__address__": "drop:1", "host": "drop"}, True), ({}, False), ({}, False)],
                    "steps")
        rule = suite.api("/targets/relabel_steps", {"scrapePool": "j", "labels": '{"a":"b"}'})["steps"][0]["rule"]
        check_equal(rule, {"source_labels": ["__address__"], "separator": ";", "regex": "(.*):1",
                           "target_label": "host", "replacement": "$1", "action": "replace"}, "rule")
        for params in ({}, {"scrapePool": "j"}, {"scrapePool": "nobody", "labels": "{}"},
                       {"scrapePool": "j", "labels": "["}):
            check_equal(get(suite.querier.port, "/api/v1/targets/relabel_steps", params).status, 400, str(params))
        check("job_name: j" in suite.api("/scrape_pools/config", {"scrapePool": "j"})["yaml"], "no configuration")


def a_change_of_the_file_is_taken_up_and_known_targets_go_on():
    exporters = [Exposition({"/metrics": lambda n: f"scrapes_total {n + 1}\n"}) for _ in range(2)]
    log_path = ""

    def config(jobs, extra=""):
        text = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
        for name, address in jobs:
            text += f"- job_name: {name}\n  static_configs: [{{targets: ['{address}']}}]\n"
        return text + extra
    first, second = (("first", exporters[0].address), ("second", exporters[1].address))
    with Suite(config([first])) as suite:
        for exporter in exporters:
            suite.own(exporter)
        suite.add("scraper", flags=["--config.auto-reload", "--config.auto-reload-interval=200ms"])
        suite.start("ingester", "querier", "scraper")
        wait_for("samples", lambda: (suite.value("scrapes_total") or 0) >= 3)
        log_path = os.path.join(suite.folder, "failures.log")
        failing = ("- job_name: failing\n  scrape_failure_log_file: failures.log\n"
                   f"  static_configs: [{{targets: ['{HOST}:1']}}]\n")
        suite.write("prometheus.yml", config([first, second], failing))
        wait_for("the second job", lambda: suite.value('up{job="second"}') == 1)
        wait_for("a failure in the log", lambda: os.path.exists(log_path) and os.path.getsize(log_path) > 0)
        with open(log_path) as f:
            line = json.loads(f.readline())
        check_equal((line["level"], line["job_name"], line["target"]),
                    ("ERROR", "failing", f"http://{HOST}:1/metrics"), "line")
        check("connection refused" in line["msg"], line["msg"])
        # The log is opened anew by a reload.
        os.rename(log_path, log_path + ".1")
        check_equal(get(suite.scraper.port, "/-/ready").status, 200, "ready")
        suite.write("prometheus.yml", config([first, second], failing) + "# changed\n")
        wait_for("the log to be made again", lambda: os.path.exists(log_path) and os.path.getsize(log_path) > 0)
        suite.write("prometheus.yml", "what: is this\n")
        wait_for("the bad file to be told",
                 lambda: suite.scraper.metric("prometheus_config_last_reload_successful") == 0)
        before = suite.value('scrapes_total{job="first"}')
        wait_for("more samples", lambda: suite.value('scrapes_total{job="first"}') > before + 2)
        suite.write("prometheus.yml", config([first]))
        wait_for("the second job to go", lambda: not suite.query('up{job="second"}'), 30)
        check_equal(suite.scraper.metric("prometheus_config_last_reload_successful"), 1, "reload")
        values = suite.query('scrapes_total{job="first"}[1m]')[0]["values"]
        counts = [int(float(v)) for _, v in values]
        check_equal(counts, list(range(counts[0], counts[0] + len(counts))), "no scrape was missed or repeated")


def shards_share_the_targets():
    exporters = [Exposition({"/metrics": "a 1\n"}) for _ in range(12)]
    listed = ", ".join(f"'{e.address}'" for e in exporters)
    with Suite("global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
               f"scrape_configs: [{{job_name: j, static_configs: [{{targets: [{listed}]}}]}}]") as suite:
        for exporter in exporters:
            suite.own(exporter)
        for i in range(2):
            suite.add(f"scraper{i}", "scraper", [f"--shard={i}/2"])
        suite.add("querier", wiring={"scraper": ["scraper0", "scraper1"]})
        suite.start("ingester", "querier", "scraper0", "scraper1")
        wait_for("all targets", lambda: len(suite.query("up == 1")) == 12)
        check_equal(len(suite.api("/targets")["activeTargets"]), 12, "targets of both")
        shares = [suite.services[f"scraper{i}"].metric("prometheus_target_scrape_pool_targets{") for i in range(2)]
        check_equal(sum(shares), 12, "targets")
        check(min(shares) > 0, f"shares {shares}")


if __name__ == "__main__":
    main(targets_are_those_of_prometheus, samples_are_those_of_prometheus,
         odd_scrapes_are_told_as_by_prometheus, relabel_steps_are_shown,
         a_change_of_the_file_is_taken_up_and_known_targets_go_on, shards_share_the_targets)
