"""When counters began, from what a target exposes to the answer of a query."""

import time

from harness import Exposition, Suite, check, check_equal, main, scrape_config, wait_for

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class Target:
    """Exposes a counter and a histogram that began at `began`."""

    def __init__(self, began, value):
        self.began, self.value = began, value

    def page(self, _):
        return (OPEN_METRICS,
                f"# TYPE jobs counter\njobs_total {self.value}\njobs_created {self.began}\n"
                "# TYPE took histogram\n"
                f'took_bucket{{le="1.0"}} {self.value}\ntook_bucket{{le="+Inf"}} {self.value}\n'
                f"took_count {self.value}\ntook_sum 1\ntook_created {self.began}\n# EOF\n")


def began_anew(suite, target, value):
    """Waits until the target was scraped with this value twice."""
    target.value = value
    wait_for(f"two samples of {value}", lambda: suite.value(
        f'count_over_time((jobs_total == {value})[1m:100ms])') and suite.value(f"jobs_total == {value}"))
    # Another scrape, so that both lie inside the ranges.
    time.sleep(1.2)


def start_timestamps_are_stored_and_used():
    first = int(time.time()) - 100
    target = Target(first, 5)
    exposition = Exposition({"/metrics": target.page})
    with Suite(config=scrape_config([exposition.address], extra="")) as suite:
        suite.own(exposition)
        features = ("--enable-feature=st-storage,histograms-st-encoding,use-start-timestamps,"
                    "promql-experimental-functions")
        for name in ("ingester", "scraper", "querier"):
            suite.add(name, flags=[features])
        suite.add("plain", kind="querier")
        suite.start("ingester", "querier", "plain", "scraper")
        began_anew(suite, target, 5)
        check_equal(suite.value("start_timestamp(jobs_total)"), float(first), "start")
        check_equal(suite.query("jobs_created"), [], "the line of the start as a series")
        # It begins anew and counts beyond what it had: only its start tells,
        # which is later than the last sample.
        again = int(time.time() * 1000) / 1000
        target.began = again
        began_anew(suite, target, 9)

        def check_answers():
            check_equal(suite.value("start_timestamp(jobs_total)"), again, "new start")
            check_equal(suite.value("start_timestamp(took_count)"), again, "start of a histogram")
            check_equal(suite.value("resets(jobs_total[1m])"), 1.0, "resets with start timestamps")
            check_equal(suite.value("resets(jobs_total[1m])", querier="plain"), 0.0, "resets without")
            increase = suite.value("increase(jobs_total[1m])")
            check(increase > suite.value("increase(jobs_total[1m])", querier="plain") + 3, f"increase {increase}")

        check_answers()
        suite.ingester.kill()
        suite.ingester.start()
        check_answers()


if __name__ == "__main__":
    main(start_timestamps_are_stored_and_used)
