"""deploy/local/run does what it promises."""

import os
import signal
import subprocess
import time

from harness import HOST, ROOT, free_port, Exposition, Suite, check, check_equal, get, main, scrape_config, wait_for

RUN = os.path.join(ROOT, "deploy/local/run")
SERVICES = {"querier": 0, "pushgateway": 1, "alertmanager": 3, "scraper": 10, "ingester": 11, "ruler": 12}


class Run:
    def __init__(self, suite, *arguments):
        self.base = free_port([d + more for d in (*SERVICES.values(), 13) for more in (0, 100)])
        self.data = os.path.join(suite.folder, "data")
        self.process = subprocess.Popen([RUN, "--data", self.data, "--port", str(self.base), *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        start_new_session=True)

    def line(self, wanted):
        """The next line of the output that holds this text."""
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if wanted in line:
                return line.rstrip("\n")
        raise AssertionError(f"no line with {wanted!r} in:\n{''.join(seen)}")

    def pid_of(self, service):
        out = subprocess.run(["pgrep", "-f", f"narthex-{service} .*:{self.base + SERVICES[service]} "],
                             capture_output=True, text=True).stdout.split()
        return int(out[0]) if out else None

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.process.stdout.close()


def it_starts_supervises_and_stops():
    exporter = Exposition({"/metrics": "a 1\n"})
    with Suite(scrape_config([exporter.address])) as suite:
        suite.own(exporter)
        begin = time.time()
        run = suite.own(Run(suite, "--config", suite.config, "--alertmanager-config", suite.alertmanager_config))
        check_equal(run.line("ready"), f"narthex is ready: http://{HOST}:{run.base}", "the line")
        took = time.time() - begin
        print(f"ready after {took:.2f}s")
        for service, distance in SERVICES.items():
            check_equal(get(run.base + distance, "/-/ready").status, 200, service)
            check(os.path.exists(f"{run.data}/logs/{service}.log"), f"no log of {service}")

        def up():
            result = get(run.base, "/api/v1/query", {"query": "a"}).json()["data"]["result"]
            return result and result[0]["value"][1] == "1"
        wait_for("a scraped sample", up)
        for service in SERVICES:
            before = run.pid_of(service)
            os.kill(before, signal.SIGKILL)
            check("status 137" in run.line(f"run: {service} ended"), "the status is not named")
            wait_for(f"{service} to be back", lambda: run.pid_of(service) not in (None, before)
                     and get(run.base + SERVICES[service], "/-/ready").status == 200)
        wait_for("a scraped sample", up)
        run.process.terminate()
        check_equal(run.process.wait(60), 0, "exit status")
        for service in SERVICES:
            check(run.pid_of(service) is None, f"{service} is left over")


def ctrl_c_stops_the_services_in_order_and_whole():
    with Suite(scrape_config([])) as suite:
        run = suite.own(Run(suite, "--config", suite.config))
        run.line("ready")
        # As a terminal does: to the group, and impatient people do it twice.
        os.killpg(run.process.pid, signal.SIGINT)
        os.killpg(run.process.pid, signal.SIGINT)
        check_equal(run.process.wait(60), 0, "exit status")
        for service in SERVICES:
            with open(f"{run.data}/logs/{service}.log") as log:
                text = log.read()
            check("signal=Interrupt" not in text, f"{service} was stopped past the script")
            check("see you next time" in text, f"{service} did not stop in good order: {text[-300:]}")


def a_service_that_keeps_dying_stops_the_suite():
    with Suite(scrape_config([])) as suite:
        run = suite.own(Run(suite, "--config", suite.config))
        run.line("ready")
        for _ in range(5):
            pid = wait_for("the pushgateway", lambda: run.pid_of("pushgateway"))
            os.kill(pid, signal.SIGKILL)
            wait_for("it to be gone", lambda: run.pid_of("pushgateway") != pid)
        check("pushgateway" in run.line("five times in a minute"), "the service is not named")
        check(run.process.wait(60) != 0, "exit status")
        check(run.pid_of("ingester") is None, "the ingester is left over")


def a_broken_configuration_stops_it_with_the_reason():
    with Suite("global: {nonsense: 1}\n") as suite:
        run = suite.own(Run(suite, "--config", suite.config))
        text = run.process.stdout.read()
        check(run.process.wait(60) != 0, "exit status")
        check("nonsense" in text and "cannot start" in text, text)


if __name__ == "__main__":
    main(it_starts_supervises_and_stops, ctrl_c_stops_the_services_in_order_and_whole,
         a_service_that_keeps_dying_stops_the_suite,
         a_broken_configuration_stops_it_with_the_reason)
