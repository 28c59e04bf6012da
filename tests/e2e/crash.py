"""Killed processes lose nothing that was acknowledged."""

import os
import threading
import time

from harness import Exposition, Suite, check, check_equal, main, remote_write, scrape_config, wait_for


def an_ingester_killed_under_load_keeps_every_acknowledged_sample():
    with Suite(scrape_config([])) as suite:
        suite.start("ingester", "querier")
        start = int(time.time() * 1000) - 600_000
        acknowledged = [0] * 4  # Samples of each writer, one a step.
        over = threading.Event()

        def write(number):
            step = 0
            while not over.is_set():
                timestamp = start + step * 100
                series = [({"__name__": "load", "writer": str(number), "i": str(i)}, [(timestamp, step)])
                          for i in range(50)]
                try:
                    answer = remote_write(suite.querier.port, series, timeout=60)
                except OSError:
                    continue
                if answer.status == 204:
                    step += 1
                    acknowledged[number] = step
                else:
                    check(answer.status >= 500, f"unexpected answer {answer.status}: {answer.text}")

        writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(3):
            goal = min(acknowledged) + 20
            wait_for("load to flow", lambda: min(acknowledged) >= goal)
            suite.ingester.kill()
            suite.ingester.start()
        goal = min(acknowledged) + 20
        wait_for("load to flow again", lambda: min(acknowledged) >= goal)
        suite.ingester.kill()
        over.set()
        suite.ingester.start()
        for writer in writers:
            writer.join()
        for number, steps in enumerate(acknowledged):
            selector = f'load{{writer="{number}"}}[20m]'
            counts = suite.query(f"count_over_time({selector})")
            check_equal(len(counts), 50, f"series of writer {number}")
            for result in counts:
                check(int(result["value"][1]) >= steps,
                      f"{result['metric']} has {result['value'][1]} samples, {steps} were acknowledged")


def every_other_service_killed_comes_back_with_all_it_had():
    rules = """groups: [{name: g, interval: 1s, rules: [{record: doubled, expr: 2 * counter},
        {alert: Always, expr: vector(1), labels: {severity: low}}]}]"""
    exporter = Exposition({"/metrics": lambda n: f"counter {n + 1}\n"})
    with Suite() as suite:
        suite.own(exporter)
        suite.write("rules.yml", rules)
        suite.write("prometheus.yml", scrape_config([exporter.address], extra=f"""
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{suite.port_of("alertmanager")[0]}']}}]}}]}}
"""))
        names = ["ingester", "querier", "scraper", "ruler", "alertmanager", "pushgateway"]
        # An alert that finds no Alertmanager is sent again after a minute.
        suite.start("alertmanager")
        suite.start(*(name for name in names if name != "alertmanager"))
        alertmanager, pushgateway = suite.alertmanager.port, suite.pushgateway.port
        from harness import get, request
        check_equal(request(pushgateway, "PUT", "/metrics/job/batch", "done 7\n").status, 200, "push")
        silence = {"matchers": [{"name": "a", "value": "b", "isRegex": False, "isEqual": True}],
                   "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
                   "createdBy": "test", "comment": "kept"}
        import json
        check_equal(request(alertmanager, "POST", "/api/v2/silences", json.dumps(silence),
                            {"Content-Type": "application/json"}).status, 200, "silence")
        wait_for("a recorded sample", lambda: suite.value("doubled"))
        wait_for("the alert", lambda: get(alertmanager, "/api/v2/alerts").json())
        for name in names:
            if name == "ingester":
                continue
            suite.services[name].kill()
            suite.services[name].start()
        before = exporter.counts["/metrics"]
        wait_for("scrapes to go on", lambda: suite.value("counter") > before)
        wait_for("rules to go on", lambda: suite.value("doubled") > 2 * before)
        check("done 7" in get(pushgateway, "/metrics").text.replace('{instance="",job="batch"}', ""),
              "the push is gone")
        check_equal([s["comment"] for s in get(alertmanager, "/api/v2/silences").json()], ["kept"], "silences")
        wait_for("the alert to be back", lambda: get(alertmanager, "/api/v2/alerts").json())
        check_equal(suite.api("/status/config")["yaml"].count("rules.yml"), 1, "rule files in the configuration")


def a_start_from_a_snapshot_of_memory_is_complete_and_so_is_one_after_a_kill():
    with Suite(scrape_config([])) as suite:
        suite.add("ingester", flags=["--enable-feature=memory-snapshot-on-shutdown"])
        suite.start("ingester", "querier")
        data = os.path.join(suite.folder, "ingester")
        start = int(time.time() * 1000) - 600_000
        written = 0

        def write(count):
            nonlocal written
            for _ in range(count):
                series = [({"__name__": "load", "i": str(i)}, [(start + written * 100, written)]) for i in range(50)]
                check_equal(remote_write(suite.querier.port, series, timeout=60).status, 204, "write")
                written += 1

        def check_all():
            wait_for("the ingester to be found again", lambda: suite.query("count_over_time(load[20m])"))
            counts = suite.query("count_over_time(load[20m])")
            check_equal({result["value"][1] for result in counts}, {str(written)}, "samples of each series")
            check_equal(len(counts), 50, "series")
            check_equal(suite.ingester.metric("prometheus_tsdb_snapshot_replay_error_total"), 0, "unusable snapshots")

        def snapshots():
            return [name for name in os.listdir(data) if name.startswith("chunk_snapshot.")]

        write(200)
        check_equal(suite.ingester.stop(), 0, "exit status")
        first = snapshots()
        check_equal(len(first), 1, "snapshots")
        suite.ingester.start()
        check_all()
        write(150)
        suite.ingester.kill()
        check_equal(snapshots(), [], "snapshots after a kill")
        suite.ingester.start()
        check_all()
        write(10)
        check_equal(suite.ingester.stop(), 0, "exit status")
        check_equal(len(snapshots()), 1, "snapshots")
        check(snapshots() != first, "the old snapshot is still there")
        suite.ingester.start()
        check_all()


if __name__ == "__main__":
    main(an_ingester_killed_under_load_keeps_every_acknowledged_sample,
         a_start_from_a_snapshot_of_memory_is_complete_and_so_is_one_after_a_kill,
         every_other_service_killed_comes_back_with_all_it_had)
