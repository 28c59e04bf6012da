"""An ingester that is away for a while leaves no gap."""

import os
import signal
import time

from harness import Exposition, Suite, check, check_equal, main, scrape_config, wait_for

AWAY_SECONDS = float(os.environ.get("NARTHEX_E2E_AWAY", "30"))


def no_gap_after(stop):
    exporter = Exposition({"/metrics": lambda n: f"scrapes_total {n + 1}\n"})
    with Suite(scrape_config([exporter.address])) as suite:
        suite.own(exporter)
        suite.start("ingester", "querier", "scraper")
        wait_for("the first samples", lambda: (suite.value("scrapes_total") or 0) >= 3)
        begin = time.time()
        back = stop(suite.ingester)
        time.sleep(AWAY_SECONDS)
        back()
        before = exporter.counts["/metrics"]
        check(before >= AWAY_SECONDS, f"only {before} scrapes in {AWAY_SECONDS}s")
        wait_for("newer samples", lambda: (suite.value("scrapes_total") or 0) > before)
        now = time.time()
        window = int(now - begin) + 3
        result = suite.query(f"scrapes_total[{window}s]", now)
        values = [float(value) for _, value in result[0]["values"]]
        check_equal(values, [values[0] + i for i in range(len(values))], "values of all scrapes")
        check(len(values) > AWAY_SECONDS, f"{len(values)} samples in {window}s")
        times = [at for at, _ in result[0]["values"]]
        widest = max(b - a for a, b in zip(times, times[1:]))
        check(widest < 1.5, f"two samples are {widest}s apart")


def a_stopped_ingester_leaves_no_gap():
    def stop(ingester):
        check_equal(ingester.stop(), 0, "exit status")
        return ingester.start
    no_gap_after(stop)


def a_frozen_ingester_leaves_no_gap():
    def stop(ingester):
        ingester.signal(signal.SIGSTOP)
        return lambda: ingester.signal(signal.SIGCONT)
    no_gap_after(stop)


def a_scraper_killed_during_an_outage_loses_only_its_restart():
    exporter = Exposition({"/metrics": lambda n: f"scrapes_total {n + 1}\n"})
    with Suite(scrape_config([exporter.address])) as suite:
        suite.own(exporter)
        suite.start("ingester", "querier", "scraper")
        wait_for("the first samples", lambda: (suite.value("scrapes_total") or 0) >= 3)
        begin = time.time()
        suite.ingester.kill()
        time.sleep(8)
        suite.scraper.kill()
        killed = exporter.counts["/metrics"]
        check(killed > 8, f"only {killed} scrapes before the kill")
        suite.scraper.start(wait=False)
        wait_for("scrapes after the restart", lambda: exporter.counts["/metrics"] > killed + 4)
        suite.ingester.start()
        before = exporter.counts["/metrics"]
        wait_for("newer samples", lambda: (suite.value("scrapes_total") or 0) > before)
        wait_for("an empty queue", lambda: suite.scraper.metric("narthex_push_queue_disk_bytes") == 0)
        now = time.time()
        result = suite.query(f"scrapes_total[{int(now - begin) + 3}s]", now)
        values = [int(float(value)) for _, value in result[0]["values"]]
        missing = sorted(set(range(values[0], values[-1] + 1)) - set(values))
        # What came within the last moments before the kill was in memory.
        check(all(killed - 3 <= n <= killed for n in missing), f"missing {missing}, killed at {killed}")
        check_equal(len(values), len(set(values)), "no value twice")
        dropped = suite.scraper.metric("narthex_push_dropped_samples_total{")
        check_equal(dropped, 0, "dropped samples")


def one_of_several_ingesters_away_leaves_no_gap():
    """Its series wait on disk; those of the others go on meanwhile."""
    ingesters = ["ingester1", "ingester2", "ingester3"]
    wiring = {"ingester": ingesters}
    series = 60
    exporter = Exposition({"/metrics": lambda n: "".join(f'n{{i="{i}"}} {n + 1}\n' for i in range(series))})
    with Suite(scrape_config([exporter.address])) as suite:
        suite.own(exporter)
        for name in ingesters:
            suite.add(name, "ingester")
        suite.add("scraper", wiring=wiring)
        suite.add("querier", wiring=wiring)
        suite.start(*ingesters, "querier", "scraper")
        wait_for("the first samples", lambda: suite.value("min(n)") is not None and suite.value("min(n)") >= 3)
        begin = time.time()
        suite.ingester2.kill()
        others = [suite.services[name] for name in ("ingester1", "ingester3")]
        appended = [i.metric("prometheus_tsdb_head_samples_appended_total") for i in others]
        wait_for("samples on disk", lambda: suite.scraper.metric("narthex_push_spooled_samples_total") > 0)
        time.sleep(5)
        for ingester, before in zip(others, appended):
            after = ingester.metric("prometheus_tsdb_head_samples_appended_total")
            check(after > before + 3, f"{ingester.name} took {after - before} samples meanwhile")
        suite.ingester2.start()
        newest = exporter.counts["/metrics"]
        wait_for("newer samples", lambda: suite.value("min(n)") > newest)
        wait_for("an empty queue", lambda: suite.scraper.metric("narthex_push_queue_disk_bytes") == 0)
        now = time.time()
        result = suite.query(f"n[{int(now - begin) + 3}s]", now)
        check_equal(len(result), series, "series")
        for one in result:
            values = [float(value) for _, value in one["values"]]
            check_equal(values, [values[0] + i for i in range(len(values))], f"values of {one['metric']}")
        check_equal(suite.scraper.metric("narthex_push_dropped_samples_total{"), 0, "dropped samples")


if __name__ == "__main__":
    main(a_stopped_ingester_leaves_no_gap, a_frozen_ingester_leaves_no_gap,
         a_scraper_killed_during_an_outage_loses_only_its_restart,
         one_of_several_ingesters_away_leaves_no_gap)
