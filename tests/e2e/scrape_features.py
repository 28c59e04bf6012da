"""What features add to scraped samples, beside the real Prometheus."""

import json
import time

from harness import HOST, Exposition, Suite, check, check_equal, free_port, main, need_peer, wait_for
from histograms import Histogram, _bytes_field, double, family, label, number

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

# ---------------------------------------------------------- type-and-unit-labels

# Each family tells its type: Prometheus 3.5 labels a series without metadata
# as the family before it, which is known to be wrong.
TEXT = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 1
# TYPE temperature gauge
temperature 2
temperature{__type__="counter",__unit__="own"} 3
# TYPE latency histogram
latency_bucket{le="1"} 1
latency_bucket{le="+Inf"} 2
latency_sum 1
latency_count 2
# TYPE size summary
size{quantile="0.5"} 1
size_sum 2
size_count 3
# TYPE plain untyped
plain 4
plain{__type__="gauge"} 5
"""

OM = """# TYPE requests_seconds counter
# UNIT requests_seconds seconds
# HELP requests_seconds Requests.
requests_seconds_total 1
# UNIT heat_celsius celsius
# TYPE heat_celsius gauge
heat_celsius{__type__="counter",__unit__="own"} 3
# TYPE latency histogram
# UNIT latency \nlatency_bucket{le="1"} 1
latency_bucket{le="+Inf"} 2
latency_sum 1
latency_count 2
# TYPE waiting gaugehistogram
waiting_bucket{le="+Inf"} 2
waiting_gsum 1
waiting_gcount 2
# TYPE size summary
size{quantile="0.5"} 1
# TYPE build info
build_info{version="1"} 1
# TYPE mode stateset
mode{mode="on"} 1
# TYPE nothing unknown
nothing 1
# EOF
"""


def with_unit(encoded_family, unit):
    """The message again, behind its length, with a unit."""
    body = encoded_family[1:] if encoded_family[0] < 128 else encoded_family[2:]
    body += _bytes_field(5, unit.encode())
    return (bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 127 | 128, len(body) >> 7])) + body


def protobuf(histograms):
    summary = number(1, 3) + double(2, 2.0) + _bytes_field(3, double(1, 0.5) + double(2, 1.0))
    return (with_unit(family("requests_seconds_total", 0, [_bytes_field(3, double(1, 1.0))]), "seconds")
            + family("temperature", 1, [_bytes_field(2, double(1, 2.0)),
                                        label("__type__", "own") + _bytes_field(2, double(1, 3.0))])
            + family("size", 2, [_bytes_field(4, summary)])
            + family("plain", 3, [_bytes_field(5, double(1, 4.0))])
            + (family("latency", 4, [_bytes_field(7, Histogram("int", 3, {1: 2, 5: 1}).exposed())])
               + family("waiting", 5, [_bytes_field(7, Histogram("int", 3, {1: 2}).exposed())]) if histograms else b""))


JOBS = {
    "text": ("/text", ""),
    "open_metrics": ("/om", ""),
    "protobuf": ("/protobuf", ""),
    # Prometheus 3.5 takes the native histograms of all jobs or of none.
    "native": ("/native", "NATIVE"),
    "custom_buckets": ("/text", "convert_classic_histograms_to_nhcb: true"),
    "honoured": ("/text", "honor_labels: true"),
    "of_the_target": ("/text", ""),
    "honoured_over_the_target": ("/text", "honor_labels: true"),
    # Metric relabelling sees the labels, and the limits count them.
    "kept_by_type": ("/om", "metric_relabel_configs: [{source_labels: [__type__, __unit__], regex: 'counter;.*', "
                            "action: keep}]"),
    "unlabelled": ("/om", "metric_relabel_configs: [{regex: __unit__, action: labeldrop}]"),
    "too_many": ("/text", "label_limit: 4"),
    "just_enough": ("/text", "label_limit: 5"),
    "too_long": ("/text", "label_value_length_limit: 14"),
}


def config(address, native):
    text = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
    for job, (path, extra) in JOBS.items():
        labels = "instance: x"
        if job.endswith("of_the_target") or job.endswith("over_the_target"):
            labels += ", team: t, __type__: ignored"
        text += (f"- job_name: {job}\n  metrics_path: {path}\n  {extra.replace('NATIVE', native)}\n"
                 f"  static_configs: [{{targets: ['{address}'], labels: {{{labels}}}}}]\n")
    return text


def start_both(suite, exporter, features, ours="", theirs="", peer_config=None):
    path = suite.write("peer.yml", peer_config or config(exporter.address, ""))
    port = free_port()
    suite.peer("prometheus", [need_peer("prometheus"), f"--config.file={path}",
                              f"--enable-feature={features}{theirs}", f"--storage.tsdb.path={suite.folder}/peer",
                              f"--web.listen-address={HOST}:{port}"], port)
    suite.services["prometheus"].start(wait=False)
    for name in ("ingester", "querier", "scraper"):
        suite.add(name, flags=[f"--enable-feature={features}{ours}"])
    suite.start("ingester", "querier", "scraper")
    suite.prometheus.wait_ready()


def series_with_values(suite, server, metrics=None):
    """The last value of all series, by their labels; how many scrapes report is not compared."""
    found = {}
    for result in suite.query('{__name__=~".+",__name__!~"scrape_duration_seconds|scrape_series_added"}',
                              querier=server):
        if metrics is None or result["metric"]["__name__"] in metrics:
            found[json.dumps(result["metric"], sort_keys=True)] = (
                result.get("value", [0, None])[1] or result["histogram"][1])
    return found


def series_are_labelled_with_their_type_and_unit():
    exporter = Exposition({"/text": TEXT, "/om": (OPEN_METRICS, OM), "/protobuf": (PROTOBUF, protobuf(False)),
                           "/native": (PROTOBUF, protobuf(True))})
    native = "scrape_native_histograms: true\n  always_scrape_classic_histograms: true"
    with Suite(config(exporter.address, native)) as suite:
        suite.own(exporter)
        start_both(suite, exporter, "type-and-unit-labels", theirs=",native-histograms",
                   peer_config=config(exporter.address, "always_scrape_classic_histograms: true"))
        for server in ("prometheus", "querier"):
            wait_for(f"two scrapes of all by {server}", lambda: len(
                [r for r in suite.query("count_over_time(up[1m]) >= 2", querier=server)]) == len(JOBS))
        wanted, got = (series_with_values(suite, server) for server in ("prometheus", "querier"))
        # Prometheus 3.5 takes what is exposed as the unit of the last family for those that follow.
        check_equal(sorted(set(got) - set(wanted)), [], "series that Prometheus has not")
        check_equal(sorted(set(wanted) - set(got)), [], "series that only Prometheus has")
        check_equal({k: v for k, v in got.items() if v != wanted[k]}, {}, "other values")
        check(any('"__unit__": "seconds"' in name for name in got), "no series has a unit")
        check(any('"native"' in name and '"__type__": "histogram"' in name and '"latency"' in name for name in got),
              "a native histogram has no type")


# ------------------------------------------------- created-timestamp-zero-ingestion

SCRAPES = 24


def start_of(n, begin):
    """In seconds: the counters begin before the first scrape, and again at the tenth."""
    return begin - 30 if n < 10 else begin + 9.25


def created_page(n, begin):
    now, start, count = begin + n, start_of(n, begin), n % 10 + 1
    return OPEN_METRICS, f"""# TYPE requests counter
requests_total{{code="200"}} {count} {now}
requests_created{{code="200"}} {start}
requests_total{{code="500"}} {count} {now}
# TYPE heat gauge
heat {n} {now}
# TYPE size summary
size{{quantile="0.5"}} {count} {now}
size_sum {count} {now}
size_count {count} {now}
size_created {start}
# TYPE latency histogram
latency_bucket{{le="1"}} {count} {now}
latency_bucket{{le="+Inf"}} {count + 1} {now}
latency_sum {count} {now}
latency_count {count + 1} {now}
latency_created {start}
# TYPE future counter
future_total {count} {now}
future_created {now + 3600}
# TYPE same counter
same_total {count} {now}
same_created {now}
# EOF
"""


def created_protobuf(n, begin):
    now, start, count = (begin + n) * 1000, start_of(n, begin), n % 10 + 1
    when = number(1, int(start)) + number(2, int(start % 1 * 1e9))
    stamp = number(6, now)
    histogram = Histogram("int", 3, {1: count, 5: 1}, total=float(count)).exposed()
    summary = number(1, count) + double(2, 2.0) + _bytes_field(3, double(1, 0.5) + double(2, 1.0)) + _bytes_field(4, when)
    return PROTOBUF, (family("requests_total", 0, [stamp + _bytes_field(3, double(1, float(count)) + _bytes_field(3, when))])
                      + family("size", 2, [stamp + _bytes_field(4, summary)])
                      + family("latency", 4, [stamp + _bytes_field(7, histogram + _bytes_field(15, when))]))


ZERO_JOBS = {
    "open_metrics": ("/om", ""),
    "custom_buckets": ("/om", "convert_classic_histograms_to_nhcb: true"),
    "protobuf": ("/protobuf", "NATIVE"),
    "classic": ("/protobuf", "scrape_protocols: [PrometheusProto]"),
}
NOT_COMPARED = ("classic", "custom_buckets")


def counters_begin_with_zero():
    begin = int(time.time()) - SCRAPES
    pages = {"/om": lambda n: created_page(min(n, SCRAPES - 1), begin),
             "/protobuf": lambda n: created_protobuf(min(n, SCRAPES - 1), begin)}

    def zero_config(suite, native, left_out=()):
        text = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
        for job, (path, extra) in ZERO_JOBS.items():
            if job in left_out:
                continue
            exporter = suite.own(Exposition({path: pages[path]}))
            exporters.append((exporter, path))
            text += (f"- job_name: {job}\n  metrics_path: {path}\n  {extra.replace('NATIVE', native)}\n"
                     f"  static_configs: [{{targets: ['{exporter.address}'], labels: {{instance: x}}}}]\n")
        return text

    exporters = []
    with Suite() as suite:
        suite.write("prometheus.yml", zero_config(suite, "scrape_native_histograms: true"))
        # Prometheus 3.5 takes native histograms of all jobs or of none, and does not convert others beside zeros.
        start_both(suite, None, "created-timestamp-zero-ingestion", theirs=",native-histograms",
                   peer_config=zero_config(suite, "", left_out=NOT_COMPARED))
        wait_for("the scrapes", lambda: all(e.counts.get(path, 0) > SCRAPES + 2 for e, path in exporters), 60)

        def samples(server):
            found = {}
            for result in suite.query('{__name__=~".+",__name__!~"up|scrape_.*"}[2m]', begin + SCRAPES, server):
                name = json.dumps(result["metric"], sort_keys=True)
                found[name] = result.get("values", []) + [
                    (at, h["count"], h["sum"]) for at, h in result.get("histograms", [])]
            return found
        # What is acknowledged to the scraper may not be visible yet.
        wanted = samples("prometheus")
        check(len(wanted) > 15, f"series of Prometheus: {sorted(wanted)}")
        got = wait_for("all series", lambda: (lambda s: len(s) >= len(wanted) and s)(samples("querier")))
        alone = {name: values for name, values in got.items() if json.loads(name)["job"] in NOT_COMPARED}
        for name, values in wanted.items():
            check_equal([list(v) for v in got.get(name, [])], [list(v) for v in values], name)
        check_equal(sorted(set(got) - set(wanted) - set(alone)), [], "series that Prometheus has not")
        starts = {(json.loads(name)["job"], json.loads(name)["__name__"]) for name, values in alone.items()
                  if values[0][0] == begin - 30}
        check(starts >= {("classic", "latency_bucket"), ("classic", "size"), ("custom_buckets", "latency"),
                         ("custom_buckets", "requests_total")}, f"series with a zero: {sorted(starts)}")


if __name__ == "__main__":
    main(series_are_labelled_with_their_type_and_unit, counters_begin_with_zero)
