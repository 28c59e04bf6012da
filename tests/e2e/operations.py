"""What keeps a database alive in production: bursts of series, corrupt blocks,
deletions and snapshots, retention, metrics and flags as Prometheus has them."""

import glob
import os
import re
import signal
import subprocess
import time

from harness import (HOST, Exposition, Suite, check, check_equal, free_port, get, main, make_blocks, need_peer,
                     remote_write, request, scrape_config, wait_for)

INGESTER_FLAGS = ["--storage.tsdb.block-reload-interval=1s"]

# Metrics of Prometheus that an ingester does not have, and why.
NOT_HERE = {
    # Appends are isolated by a gate, not by numbers that are kept.
    "prometheus_tsdb_isolation_high_watermark", "prometheus_tsdb_isolation_low_watermark",
    # The log is framed a batch at a time, not a record's part at a time.
    "prometheus_tsdb_wal_record_part_writes_total", "prometheus_tsdb_wal_record_parts_bytes_written_total",
}


def families(text):
    """Type by name of the metrics in an exposition."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


def prometheus(suite, flags=()):
    """A real Prometheus that takes remote write."""
    binary = need_peer("prometheus")
    port = free_port()
    return suite.peer("prometheus", [
        binary, f"--config.file={suite.write('peer.yml', '')}", f"--web.listen-address={HOST}:{port}",
        "--storage.tsdb.path=" + os.path.join(suite.folder, "peer-data"), "--web.enable-remote-write-receiver",
        "--web.enable-admin-api", "--enable-feature=exemplar-storage", *flags], port)


def a_burst_of_series_is_refused_and_survived():
    steady = Exposition({"/metrics": "".join(f'steady{{id="{i}"}} {i}\n' for i in range(500))})
    noisy = Exposition({"/metrics": "noise 1\n"})
    config = scrape_config([]).replace("static_configs: [{targets: []}]", (
        f"static_configs: [{{targets: ['{steady.address}']}}]\n"
        f"- job_name: noisy\n  static_configs: [{{targets: ['{noisy.address}']}}]"))
    with Suite(config) as suite:
        suite.own(steady)
        suite.own(noisy)
        limited = ["--storage.tsdb.max-series=1000"]
        suite.add("ingester", flags=limited)
        suite.start("ingester", "querier", "scraper")
        wait_for("the steady series", lambda: suite.value("count(steady)") == 500)
        wait_for("the noisy target", lambda: suite.value('up{job="noisy"}') == 1)
        noisy.pages["/metrics"] = lambda n: "".join(f'noise{{id="{n}-{i}"}} 1\n' for i in range(2000))
        wait_for("refusals", lambda: suite.ingester.metric(
            'narthex_tsdb_series_refused_total{job="noisy"}') >= 2000)
        check(suite.ingester.metric("prometheus_tsdb_head_series") <= 1000, "the limit does not hold")
        check_equal(suite.value('up{job="noisy"}'), 1.0, "the scrape of the noisy target")

        def goes_on():
            # Its newest sample is from after the burst.
            after = time.time()
            wait_for("steady series to go on", lambda: suite.value("min(timestamp(steady))") > after)
            check_equal(suite.value("count(steady)"), 500.0, "steady series")
        goes_on()

        # A kill at the worst moment, and a limit that is lower than what the
        # log holds: what was acknowledged is served, only new series are
        # refused, and nobody has to remove the log.
        suite.ingester.kill()
        suite.ingester.command = [*suite.ingester.command[:-1], "--storage.tsdb.max-series=800"]
        suite.ingester.start()
        check(suite.ingester.metric("prometheus_tsdb_head_series") <= 1000, "the replay makes series")
        check_equal(suite.ingester.metric("narthex_tsdb_wal_replay_refused_series_total"), 0.0, "refused of the log")
        goes_on()
        wait_for("refusals after the restart", lambda: suite.ingester.metric(
            'narthex_tsdb_series_refused_total{job="noisy"}') > 0)

        # Without the limit everything is taken again.
        suite.ingester.kill()
        suite.ingester.command = suite.ingester.command[:-1]
        suite.ingester.start()
        noisy.pages["/metrics"] = "".join(f'noise{{id="{i}"}} 1\n' for i in range(1500))
        wait_for("the noisy series", lambda: (suite.value("count(noise)") or 0) >= 1500)
        goes_on()


def a_memory_budget_refuses_new_series_only():
    steady = Exposition({"/metrics": "steady 1\n"})
    with Suite(scrape_config([steady.address])) as suite:
        suite.own(steady)
        suite.add("ingester", flags=["--storage.tsdb.memory-budget=1MB"])
        suite.start("ingester", "querier", "scraper")
        # Even an idle process holds more, so nothing is ever taken.
        wait_for("refusals", lambda: suite.ingester.metric('narthex_tsdb_series_refused_total{job="test"}') > 0)
        check_equal(suite.ingester.metric("prometheus_tsdb_head_series"), 0.0, "series")
        suite.ingester.stop()
        suite.ingester.command[-1] = "--storage.tsdb.memory-budget=50%"
        suite.ingester.start()
        # What was refused is asked for again.
        wait_for("the series", lambda: suite.value("steady") == 1)


def a_corrupt_block_is_left_aside_and_reported():
    with Suite(scrape_config([])) as suite:
        data = os.path.join(suite.folder, "ingester")
        suite.add("ingester", flags=INGESTER_FLAGS)
        suite.start("ingester", "querier")
        start = make_blocks(suite, data, 8)
        count = "count_over_time(old[30m])"
        wait_for("the blocks to be noticed",
                 lambda: suite.value(count, start + 3600) == 30 and suite.value(count, start + 4 * 3600) == 30)
        suite.ingester.stop()
        blocks = {}
        for meta in glob.glob(data + "/*/meta.json"):
            with open(meta) as f:
                blocks[int(re.search(r'"minTime":\s*(\d+)', f.read()).group(1)) // 1000] = os.path.dirname(meta)
        bad = blocks[min(blocks)]
        os.truncate(bad + "/index", 100)
        suite.ingester.start()
        later = max(blocks) + 3600
        wait_for("the others to be served", lambda: suite.value(count, later) == 30)
        answer = get(suite.querier.port, "/api/v1/query", {"query": count, "time": start + 3600})
        check(answer.status >= 400 and os.path.basename(bad) in answer.text,
              f"no error that names the block: {answer.status} {answer.text}")
        check_equal(suite.api("/status/runtimeinfo")["corruptionCount"], 1, "corruptionCount")
        check_equal(suite.ingester.metric("narthex_tsdb_corrupt_blocks"), 1.0, "narthex_tsdb_corrupt_blocks")
        check(os.path.basename(bad) in suite.ingester.log_tail(), "the log does not name the block")
        os.rename(bad, os.path.join(suite.folder, "taken-away"))
        wait_for("an answer without the block",
                 lambda: get(suite.querier.port, "/api/v1/query",
                             {"query": count, "time": start + 3600}).status == 200)
        check_equal(suite.api("/status/runtimeinfo")["corruptionCount"], 0, "corruptionCount")


def deletions_and_snapshots_are_as_prometheus_makes_them():
    with Suite(scrape_config([])) as suite:
        peer = prometheus(suite)
        suite.add("ingester", flags=INGESTER_FLAGS)
        suite.start("ingester", "querier", "prometheus")
        ports = [suite.querier.port, peer.port]
        now = int(time.time() * 1000)
        series = [({"__name__": name, "i": f"{name}-{i}"},
                   [(now - 600_000 + k * 10_000, k + i) for k in range(60)])
                  for name in ("kept", "dropped") for i in range(5)]
        for port in ports:
            check_equal(remote_write(port, series).status // 100, 2, "remote write")

        def both(path, **params):
            answers = [get(port, "/api/v1" + path, params).json()["data"] for port in ports]
            for answer in answers:
                answer["result"].sort(key=lambda series: series["metric"]["i"])
            check_equal(answers[0], answers[1], f"{path} {params}")
            return answers[0]

        def post(path, **params):
            for port in ports:
                query = "&".join(f"{k}={v}" for k, v in params.items())
                answer = request(port, "POST", f"/api/v1/admin/tsdb/{path}?{query}")
                check(answer.status in (200, 204), f"{path}: {answer.status} {answer.text}")

        at = now // 1000
        counts = "count_over_time({__name__=~\"kept|dropped\"}[20m])"
        check_equal(len(both("/query", query=counts, time=at)["result"]), 10, "series")
        post("delete_series", **{"match[]": "dropped"})
        post("delete_series", **{"match[]": "kept{i=\"kept-1\"}".replace('"', "%22"), "end": at - 300})
        result = both("/query", query=counts, time=at)["result"]
        check_equal(len(result), 5, "series that are left")
        post("clean_tombstones")
        check_equal(both("/query", query=counts, time=at)["result"], result, "after clean_tombstones")

        # Each opens the other's snapshot.
        name = request(suite.querier.port, "POST", "/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
        ours = os.path.join(suite.folder, "ingester", "snapshots", name)
        name = request(peer.port, "POST", "/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
        theirs = os.path.join(suite.folder, "peer-data", "snapshots", name)
        suite.ingester.stop()
        peer.stop()
        for service, directory in ((suite.ingester, theirs), (peer, ours)):
            service.command = ["--storage.tsdb.path=" + directory if part.startswith("--storage.tsdb.path") else part
                               for part in service.command]
            service.start()
        wait_for("the snapshots to be served", lambda: suite.query(counts, at))
        check_equal(both("/query", query=counts, time=at)["result"], result, "in the snapshots")


def every_metric_of_the_storage_has_prometheus_type():
    with Suite(scrape_config([])) as suite:
        peer = prometheus(suite)
        suite.add("ingester")
        suite.start("ingester", "querier", "prometheus")
        now = int(time.time() * 1000)
        for port in (suite.querier.port, peer.port):
            for step in (0, 1000, 500):
                remote_write(port, [({"__name__": "m", "job": "x"}, [(now + step, 1)])])
        theirs = {name: kind for name, kind in families(get(peer.port, "/metrics").text).items()
                  if name.startswith("prometheus_tsdb_")}
        check(len(theirs) > 60, f"Prometheus shows only {len(theirs)} metrics")
        ours = families(get(suite.ingester.port, "/metrics").text)
        wrong = {name: (kind, ours.get(name)) for name, kind in theirs.items()
                 if name not in NOT_HERE and ours.get(name) != kind}
        check_equal(wrong, {}, "metrics with another type or none: (theirs, ours)")


def every_storage_flag_of_prometheus_is_taken():
    flags = ["--storage.tsdb.retention.time=20d", "--storage.tsdb.retention.size=512MB", "--storage.tsdb.no-lockfile",
             "--storage.tsdb.head-chunks-write-queue-size=10", "--storage.tsdb.min-block-duration=2h",
             "--storage.tsdb.max-block-duration=1d", "--storage.tsdb.max-block-chunk-segment-size=64MB",
             "--storage.tsdb.wal-segment-size=20MB", "--storage.tsdb.wal-compression",
             "--storage.tsdb.wal-compression-type=zstd", "--storage.tsdb.samples-per-chunk=200",
             "--storage.tsdb.block-reload-interval=30s", "--storage.tsdb.delay-compact-file.path=/nowhere.json",
             "--storage.tsdb.allow-overlapping-compaction", "--storage.tsdb.delayed-compaction.max-percent=10"]
    with Suite(scrape_config([])) as suite:
        suite.add("ingester", flags=flags)
        suite.start("ingester", "querier")
        check_equal(suite.api("/status/runtimeinfo")["storageRetention"], "20d or 512MiB", "storageRetention")
        check(not os.path.exists(os.path.join(suite.folder, "ingester", "lock")), "there is a lock file")


def retention_is_reloaded_with_the_configuration():
    with Suite(scrape_config([])) as suite:
        data = os.path.join(suite.folder, "ingester")
        suite.add("ingester", flags=[*INGESTER_FLAGS, f"--config.file={suite.config}"])
        suite.start("ingester", "querier")
        start = make_blocks(suite, data, 12)
        wait_for("the blocks", lambda: suite.value("count_over_time(old[30m])", start + 3600) == 30)
        suite.write("prometheus.yml", "storage:\n  tsdb:\n    retention:\n      time: 30d\n      rules:\n"
                                      "      - match: ['{job=\"backfill\"}']\n        time: 4h\n")
        suite.ingester.signal(signal.SIGHUP)
        wait_for("old samples to go", lambda: suite.value("count_over_time(old[30m])", start + 3600) is None)
        check_equal(suite.value("count_over_time(old[30m])", start + 11 * 3600), 30.0, "samples that are kept")
        check_equal(suite.api("/status/runtimeinfo")["storageRetention"], "30d", "storageRetention")


def a_long_replay_is_told_and_can_be_stopped():
    with Suite(scrape_config([])) as suite:
        suite.add("ingester", flags=["--storage.tsdb.wal-segment-size=10MB", "--no-storage.tsdb.wal-compression"])
        suite.start("ingester", "querier")
        now = int(time.time() * 1000)
        for step in range(60):
            series = [({"__name__": "load", "i": str(i)}, [(now - 600_000 + step * 10_000 + k * 1000, k)
                                                            for k in range(10)]) for i in range(5000)]
            check_equal(remote_write(suite.querier.port, series, timeout=60).status // 100, 2, "remote write")
        suite.ingester.kill()
        suite.ingester.start(wait=False)
        seen = wait_for("progress", lambda: suite.api("/status/walreplay"), every=0.005)
        check(set(seen) == {"min", "max", "current"} and seen["max"] >= seen["current"] >= seen["min"],
              f"odd progress: {seen}")
        begin = time.time()
        suite.ingester.stop()
        check(time.time() - begin < 2, f"stopping took {time.time() - begin:.1f}s")
        suite.ingester.start()
        last = suite.api("/status/walreplay")
        check(last["current"] == last["max"] > 0, f"odd progress at the end: {last}")
        check_equal(suite.value("count(count_over_time(load[20m]))"), 5000.0, "series")


main(a_burst_of_series_is_refused_and_survived, a_memory_budget_refuses_new_series_only,
     a_corrupt_block_is_left_aside_and_reported, deletions_and_snapshots_are_as_prometheus_makes_them,
     every_metric_of_the_storage_has_prometheus_type, every_storage_flag_of_prometheus_is_taken,
     retention_is_reloaded_with_the_configuration, a_long_replay_is_told_and_can_be_stopped)
