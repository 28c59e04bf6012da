"""Three ingesters, two scrapers and two queriers share the work."""

import time

from harness import Exposition, Suite, check, check_equal, get, main, remote_write, scrape_config, wait_for

INGESTERS = ["ingester1", "ingester2", "ingester3"]
SCRAPERS = ["scraper1", "scraper2"]
WIRING = {"ingester": INGESTERS, "scraper": SCRAPERS, "ruler": ["ruler"], "querier": ["querier1"]}


def work_is_shared_and_answers_are_whole():
    page = "".join(f'shared{{i="{i}"}} {i}\n' for i in range(300))
    pages = {f"/t{n}": page for n in range(12)}
    exporter = Exposition(pages)
    config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: test\n  static_configs:\n"
    for n in range(12):
        config += f"  - {{targets: ['{exporter.address}'], labels: {{__metrics_path__: /t{n}, instance: t{n}}}}}\n"
    with Suite(config) as suite:
        suite.own(exporter)
        for name in INGESTERS:
            suite.add(name, "ingester")
        for i, name in enumerate(SCRAPERS):
            suite.add(name, "scraper", [f"--shard={i}/2"], WIRING)
        for name in ("querier1", "querier2"):
            suite.add(name, "querier", (), WIRING)
        suite.add("ruler", "ruler", (), WIRING)
        suite.start(*INGESTERS, *SCRAPERS, "querier1", "querier2", "ruler")

        wait_for("all series", lambda: suite.value("count(shared)", querier="querier1") == 12 * 300)
        check_equal(suite.value("count(shared)", querier="querier2"), 3600.0, "series seen by the second querier")
        # Each target is scraped by one scraper, and each scraper has some.
        targets = suite.api("/targets", querier="querier1")["activeTargets"]
        check_equal(sorted(t["labels"]["instance"] for t in targets), sorted(f"t{n}" for n in range(12)), "targets")
        for name in SCRAPERS:
            mine = suite.services[name].metric("prometheus_target_scrape_pool_targets")
            check(2 <= mine <= 10, f"{name} has {mine} of 12 targets")
        before, at = dict(exporter.counts), time.time()
        wait_for("three more scrapes", lambda: exporter.counts["/t0"] >= before["/t0"] + 3)
        for path, count in exporter.counts.items():
            check(count - before[path] <= time.time() - at + 2, f"{path} is scraped more than once a second")
        # Series are spread; no ingester has all.
        for name in INGESTERS:
            held = suite.services[name].metric("prometheus_tsdb_head_series ")
            check(700 < held < 1800, f"{name} holds {held} of 3,660 series")
        # Writes go to the owners too, and both queriers read them.
        now = int(time.time() * 1000)
        answer = remote_write(suite.querier2.port, [
            ({"__name__": "written", "i": str(i)}, [(now, i)]) for i in range(100)])
        check_equal(answer.status, 204, "remote write: " + answer.text)
        check_equal(suite.value("sum(written)", querier="querier1"), 4950.0, "sum of what was written")
        check_equal(len(suite.api("/label/i/values", querier="querier1")), 300, "label values")

        # Without one ingester an answer would not be whole: it is an error
        # that names it, until it is back.
        suite.ingester2.kill()
        failed = get(suite.querier1.port, "/api/v1/query", {"query": "count(shared)"})
        check_equal(failed.status, 503, "status with an ingester down: " + failed.text)
        check(suite.grpc("ingester2") in failed.text, "the ingester is not named: " + failed.text)
        suite.ingester2.start()
        wait_for("all series again", lambda: suite.value("count(shared)", querier="querier1") == 3600)
        # A killed querier is no loss to the other.
        suite.querier2.kill()
        check_equal(suite.value("sum(written)", querier="querier1"), 4950.0, "sum without the second querier")


if __name__ == "__main__":
    main(work_is_shared_and_answers_are_whole)
