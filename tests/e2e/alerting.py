"""From a dead exporter to a notification and back."""

import json
import os
import subprocess
import time

from discovery_fakes import own_name_server
from harness import (
    HOST, PEERS, Exposition, Skipped, Suite, Webhook, check, check_equal, get, main, need_peer, free_port, request, scrape_config,
    wait_for)

RULES = """
groups:
- name: targets
  interval: 1s
  rules:
  - alert: TargetDown
    expr: up == 0
    for: 3s
    labels: {severity: page}
    annotations: {summary: '{{ $labels.instance }} of {{ $labels.job }} is down ({{ $value }})'}
"""
ROUTES = """
route: {receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 4s}
receivers: [{name: hook, webhook_configs: [{url: '%s'}]}]
"""


def start(suite, targets, alertmanager_port):
    suite.write("rules.yml", RULES)
    suite.write("prometheus.yml", scrape_config(targets, extra=f"""
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{HOST}:{alertmanager_port}']}}]}}]}}
"""))
    suite.start("ingester", "querier", "scraper", "ruler")


def state(suite):
    alerts = suite.api("/alerts")["alerts"]
    return {a["labels"]["instance"]: a["state"] for a in alerts}


def an_exporter_dies_is_told_silenced_and_returns():
    one, two = Exposition({"/metrics": "a 1\n"}), Exposition({"/metrics": "a 1\n"})
    hook = Webhook()
    with Suite(alertmanager_config=ROUTES % hook.url) as suite:
        suite.own(hook)
        suite.start("alertmanager")
        start(suite, [one.address, two.address], suite.alertmanager.port)
        wait_for("both targets to be up", lambda: suite.value("sum(up)") == 2)
        wait_for("the rule to be inactive", lambda: [
            r["state"] for g in suite.api("/rules")["groups"] for r in g["rules"]] == ["inactive"])

        down = [one.address, two.address]
        one.close()
        two.close()
        wait_for("up to be 0", lambda: suite.value("sum(up)") == 0)
        wait_for("the alerts to be pending", lambda: state(suite) == {t: "pending" for t in down})
        wait_for("their series", lambda: suite.value('sum(ALERTS{alertstate="pending"})') == 2, every=0.02)
        wait_for("the alerts to fire", lambda: state(suite) == {t: "firing" for t in down})
        wait_for("a notification", lambda: hook.received)
        first = hook.received[0]
        check_equal((first["status"], first["receiver"], first["version"], first["groupLabels"]),
                    ("firing", "hook", "4", {"alertname": "TargetDown"}), "notification")
        # Both died within one evaluation or in two: in the end one group tells both.
        told = wait_for("both to be told together", lambda: next(
            (n for n in hook.received if len(n["alerts"]) == 2), None))
        check_equal(sorted(a["labels"]["instance"] for a in told["alerts"]), sorted(down), "alerts told")
        check_equal({a["annotations"]["summary"] for a in told["alerts"]},
                    {f"{t} of test is down (0)" for t in down}, "summaries")
        target = next(t for t in suite.api("/targets")["activeTargets"])
        check_equal(target["health"], "down", "health")
        check("connection refused" in target["lastError"], target["lastError"])

        # It repeats, until it is silenced.
        count = len(hook.received)
        wait_for("a repeat", lambda: len(hook.received) > count, timeout=15)
        silence = {"matchers": [{"name": "alertname", "value": "TargetDown", "isRegex": False, "isEqual": True}],
                   "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
                   "createdBy": "test", "comment": "working on it"}
        made = request(suite.alertmanager.port, "POST", "/api/v2/silences", json.dumps(silence),
                       {"Content-Type": "application/json"})
        check_equal(made.status, 200, made.text)
        alerts = get(suite.alertmanager.port, "/api/v2/alerts").json()
        check_equal({a["status"]["state"] for a in alerts}, {"suppressed"}, "states")
        time.sleep(0.5)  # What was being sent when the silence came.
        count = len(hook.received)
        time.sleep(8)
        check_equal(len(hook.received), count, "notifications while silenced")
        expired = request(suite.alertmanager.port, "DELETE", "/api/v2/silence/" + made.json()["silenceID"])
        check_equal(expired.status, 200, expired.text)
        wait_for("it to be told again", lambda: len(hook.received) > count, timeout=15)

        # One comes back: told as resolved.
        back = ReturningExposition(int(down[0].rpartition(":")[2]))
        suite.own(back)
        resolved = wait_for("the resolved notification", lambda: [
            a for n in hook.received for a in n["alerts"] if a["status"] == "resolved"], timeout=30)
        check_equal({a["labels"]["instance"] for a in resolved}, {down[0]}, "resolved alerts")
        check_equal(state(suite), {down[1]: "firing"}, "alerts left")


class ReturningExposition(Exposition):
    """An exporter on a port that was in use before."""

    def __init__(self, port):
        import http.server as hs
        original = hs.ThreadingHTTPServer

        class Again(original):
            allow_reuse_address = True

            def __init__(self, address, handler):
                super().__init__((address[0], port), handler)
        hs.ThreadingHTTPServer = Again
        try:
            super().__init__({"/metrics": "a 1\n"})
        finally:
            hs.ThreadingHTTPServer = original


def peer_alertmanager():
    """The beginning of its command line. Debian's looks for its templates where
    its package puts them: it is shown them there, in a mount namespace."""
    binary = need_peer("prometheus-alertmanager")
    templates = "/usr/share/prometheus/alertmanager"
    if os.path.exists(templates):
        return [binary]
    script = ('mount -t tmpfs none /usr/share && mkdir -p "$2" && cp -r "$1"/. "$2" && shift 2 && exec "$@"')
    command = ["unshare", "-m", "sh", "-c", script, "sh", os.path.join(PEERS, "../.." + templates), templates, binary]
    if subprocess.run([*command, "--version"], capture_output=True).returncode != 0:
        raise Skipped(f"{templates} is not there, and no mount namespace can be made")
    return command


def the_real_alertmanager_takes_our_alerts():
    command = peer_alertmanager()
    hook = Webhook()
    with Suite() as suite:
        suite.own(hook)
        port = free_port()
        config = suite.write("peer-alertmanager.yml", ROUTES % hook.url)
        suite.peer("peer", [*command, f"--config.file={config}", f"--storage.path={suite.folder}/peer",
                            f"--web.listen-address={HOST}:{port}", "--cluster.listen-address="], port).start()
        start(suite, [f"{HOST}:1"], port)
        wait_for("a notification", lambda: hook.received)
        check_equal(hook.received[0]["alerts"][0]["labels"],
                    {"alertname": "TargetDown", "instance": f"{HOST}:1", "job": "test", "severity": "page"}, "labels")
        url = suite.api("/alertmanagers")["activeAlertmanagers"][0]["url"]
        check_equal(url, f"http://{HOST}:{port}/api/v2/alerts", "alertmanager")


def pending_time_survives_a_restart_of_the_ruler():
    rules = """
groups: [{name: g, interval: 1s, rules: [{alert: Slow, expr: vector(1), for: 1h}]}]
"""
    with Suite(scrape_config([])) as suite:
        suite.write("rules.yml", rules)
        suite.write("prometheus.yml", scrape_config([], extra="rule_files: [rules.yml]\n"))
        suite.add("ruler", flags=["--rules.alert.for-grace-period=1s"])
        suite.start("ingester", "querier", "ruler")

        def active_at():
            alerts = suite.api("/alerts")["alerts"]
            return alerts and alerts[0]["activeAt"]
        before = wait_for("the alert to be pending", active_at)
        wait_for("its series", lambda: suite.query("ALERTS_FOR_STATE"))
        suite.ruler.kill()
        time.sleep(3)
        suite.ruler.start()
        from datetime import datetime

        def at(text):
            return datetime.fromisoformat(text.partition(".")[0].rstrip("Z"))
        after = wait_for("the alert to be back", active_at)
        moved = wait_for("the restored time", lambda: abs((at(active_at()) - at(before)).total_seconds()) <= 8)
        check(moved, f"active since {after}, before the restart {before}")


def alertmanagers_are_discovered():
    """By a list over HTTP and by a file, both of which change."""
    def listed(*addresses, **labels):
        return json.dumps([{"targets": list(addresses), "labels": labels}])

    pages = Exposition({"/sd": listed("127.0.0.1:1", __alerts_path_prefix__="/x")})
    rules = "groups: [{name: g, interval: 1s, rules: [{alert: Always, expr: vector(1)}]}]"
    with Suite() as suite:
        suite.own(pages)
        hook = suite.own(Webhook())
        suite.write("am.json", listed("127.0.0.2:2"))
        suite.write("rules.yml", rules)
        suite.write("prometheus.yml", scrape_config([], extra=f"""
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - http_sd_configs: [{{url: 'http://{pages.address}/sd', refresh_interval: 1s}}]
    relabel_configs: [{{source_labels: [__alerts_path_prefix__], target_label: __alerts_path__, regex: (.+), replacement: '$1/api/v2/alerts'}}]
  - scheme: https
    file_sd_configs: [{{files: ['{suite.folder}/am.json'], refresh_interval: 1s}}]
"""))
        suite.write("alertmanager.yml", ROUTES % hook.url)
        suite.add("ruler", flags=["--rules.alert.resend-delay=1s"])
        suite.start("ingester", "querier", "ruler", "alertmanager")

        def urls():
            return sorted(one["url"] for one in suite.api("/alertmanagers")["activeAlertmanagers"])
        wait_for("both to be found", lambda: urls() == [
            "http://127.0.0.1:1/x/api/v2/alerts", "https://127.0.0.2:2/api/v2/alerts"], timeout=15)
        # Ours comes, the file's goes.
        pages.pages["/sd"] = listed(f"{HOST}:{suite.alertmanager.port}")
        suite.write("am.json", "[]")
        wait_for("ours alone to be left", lambda: urls() == [
            f"http://{HOST}:{suite.alertmanager.port}/api/v2/alerts"], timeout=15)
        wait_for("a notification", lambda: hook.received)


def alertmanagers_are_resolved():
    """By SRV records, whose names a name server knows, too."""
    rules = "groups: [{name: g, interval: 1s, rules: [{alert: Always, expr: vector(1)}]}]"
    with Suite() as suite:
        name_server, wrap = own_name_server(suite)
        hook = suite.own(Webhook())
        suite.write("rules.yml", rules)
        suite.write("prometheus.yml", scrape_config([], extra="""
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - dns_sd_configs: [{names: [_am._tcp.example.test], refresh_interval: 1s}]
"""))
        suite.write("alertmanager.yml", ROUTES % hook.url)
        ruler = suite.add("ruler", flags=["--rules.alert.resend-delay=1s"])
        ruler.command = wrap(ruler.command)
        suite.add("alertmanager")
        name_server.records.update({
            "_am._tcp.example.test.": [("SRV", (suite.alertmanager.port, "am.example.test")),
                                       ("SRV", (1, "other.example.test"))],
            "am.example.test.": [("A", HOST)]})
        suite.start("ingester", "querier", "ruler", "alertmanager")

        def urls():
            return sorted(one["url"] for one in suite.api("/alertmanagers")["activeAlertmanagers"])
        ours = f"http://am.example.test:{suite.alertmanager.port}/api/v2/alerts"
        wait_for("both to be found", lambda: urls() == sorted([
            ours, "http://other.example.test:1/api/v2/alerts"]), timeout=15)
        wait_for("a notification", lambda: hook.received)
        name_server.records["_am._tcp.example.test."].pop()
        wait_for("one to be gone", lambda: urls() == [ours], timeout=15)


if __name__ == "__main__":
    main(an_exporter_dies_is_told_silenced_and_returns, the_real_alertmanager_takes_our_alerts,
         pending_time_survives_a_restart_of_the_ruler, alertmanagers_are_discovered, alertmanagers_are_resolved)
