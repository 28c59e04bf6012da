"""PromQL asked of Narthex and of Prometheus over the same data gives the same
answers: the public compliance queries and random ones.

  compliance.py [--seed N] [--count N]     more, or other, random queries
"""

import itertools
import math
import os
import re
import sys
import time

from harness import HOST, Skipped, Suite, check, free_port, get, main, need_peer, remote_write, wait_for
from promql_data import demo_series
from promql_random import Generator

SHARED = os.environ.get("NARTHEX_SHARED") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "shared")
QUERIES = os.path.join(SHARED, "conformance", "promql", "compliance-queries.yml")
FEATURES = ["promql-experimental-functions"]
MINUTES = 60
TOLERANCE = 1e-9

# What the placeholders of the compliance queries stand for.
VARIANTS = {
    "range": ["1s", "15s", "1m", "5m", "15m", "1h"],
    "offset": ["1m", "5m", "10m"],
    "simpleAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar"],
    "simpleTimeAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last"],
    "topBottomOp": ["topk", "bottomk"],
    "quantile": ["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"],
    "arithBinOp": ["+", "-", "*", "/", "%", "^"],
    "compBinOp": ["==", "!=", "<", ">", "<=", ">="],
    "simpleMathFunc": ["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"],
    "extrapolatedRateFunc": ["delta", "rate", "increase"],
    "clampFunc": ["clamp_min", "clamp_max"],
    "instantRateFunc": ["idelta", "irate"],
    "dateFunc": ["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"],
    "smoothingFactor": ["0.1", "0.5", "0.8"],
    "trendFactor": ["0.1", "0.5", "0.8"],
}
VARIANTS["binOp"] = VARIANTS["arithBinOp"] + VARIANTS["compBinOp"]


def compliance_queries():
    """[(query, should fail)] of the public file, all variants."""
    try:
        import yaml
    except ImportError:
        raise Skipped("no python3-yaml")
    if not os.path.exists(QUERIES):
        raise Skipped(f"no {QUERIES}")
    with open(QUERIES) as f:
        cases = yaml.safe_load(f)["test_cases"]
    expanded = []
    for case in cases:
        names = case.get("variant_args") or []
        for values in itertools.product(*(VARIANTS[name] for name in names)):
            query = case["query"] if isinstance(case["query"], str) else str(case["query"])
            for name, value in zip(names, values):
                query = query.replace("{{.%s}}" % name, value)
            expanded.append((query, bool(case.get("should_fail"))))
    return expanded


# ------------------------------------------------------------------- comparing


def same_number(a, b):
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if x == y:
        return True
    if math.isinf(x) or math.isinf(y):
        return False
    # What is left of a difference of equals is rounding.
    return abs(x - y) <= max(TOLERANCE * max(abs(x), abs(y)), 1e-20)


def same_value(a, b):
    """Nested lists, dictionaries and texts, of which some are numbers."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same_value(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same_value, a, b))
    if isinstance(a, str) and isinstance(b, str):
        try:
            return same_number(a, b)
        except ValueError:
            return a == b
    return a == b


def notes(body, kind):
    """What the annotations say, but not what differs between the versions of
    Prometheus: newer ones name fewer metrics and warn of useless sorting."""
    return sorted({re.sub(r" for metric name \"[^\"]*\"", "", text) for text in body.get(kind, [])
                   if "sort is ineffective" not in text})


def error_text(body):
    """Without the position, which versions see differently, and without what
    is named by chance, such as the first of several duplicates."""
    text = re.sub(r"\d+:\d+: parse error", "parse error", body["error"])
    text = re.sub(r"\"<Item \d+>\" ", "", text)
    # Which of two things wrong with a match is found first depends, too.
    if re.match("multiple matches for labels|found duplicate series", text):
        return "no unique match"
    return text.split("[")[0].split(" for the match group")[0]


def stricter(query, ours, theirs):
    """Whether ours is an error that only newer versions of Prometheus give: of
    a comparison with several matches, none of which holds."""
    return (ours[0] == 422 and theirs[0] == 200 and re.search("[=!<>]", query)
            and ours[1]["error"].startswith("multiple matches for labels"))


def difference(query, ours, theirs):
    """Empty when two answers (status, body) mean the same."""
    if stricter(query, ours, theirs):
        return ""
    if ours[0] != theirs[0]:
        return f"status {ours[0]} instead of {theirs[0]}"
    ours, theirs = ours[1], theirs[1]
    if ours["status"] != theirs["status"] or ours.get("errorType") != theirs.get("errorType"):
        return f"{ours.get('errorType')} instead of {theirs.get('errorType')}"
    if ours["status"] == "error":
        return "" if error_text(ours) == error_text(theirs) else f"error {ours['error']!r} instead of {theirs['error']!r}"
    for kind in ("warnings", "infos"):
        if notes(ours, kind) != notes(theirs, kind):
            return f"{kind} {notes(ours, kind)} instead of {notes(theirs, kind)}"
    a, b = ours["data"], theirs["data"]
    if a["resultType"] != b["resultType"]:
        return f"{a['resultType']} instead of {b['resultType']}"
    if a["resultType"] in ("scalar", "string"):
        return "" if same_value(a["result"], b["result"]) else f"{a['result']} instead of {b['result']}"
    a, b = a["result"], b["result"]
    # Equal values may come in any order.
    if re.match("sort|topk|bottomk", query) and not same_value(*([s.get("value") for s in x] for x in (a, b))):
        return "another order"
    a, b = (sorted(x, key=lambda s: sorted(s["metric"].items())) for x in (a, b))
    if len(a) != len(b):
        return f"{len(a)} series instead of {len(b)}"
    for x, y in zip(a, b):
        if x["metric"] != y["metric"]:
            return f"series {x['metric']} instead of {y['metric']}"
        for part in ("value", "values", "histogram", "histograms"):
            if not same_value(x.get(part), y.get(part)):
                return f"{x['metric']}: {str(x.get(part))[:300]} instead of {str(y.get(part))[:300]}"
    return ""


# --------------------------------------------------------------------- running


class Pair:
    """Both systems, with the same data."""

    def __init__(self, suite):
        binary = need_peer("prometheus")
        config = suite.write("peer.yml", "global: {evaluation_interval: 1m}\n")
        suite.write("prometheus.yml", "global: {evaluation_interval: 1m}\n")
        self.port = free_port()
        features = ",".join(FEATURES)
        peer = suite.peer("prometheus", [
            binary, f"--config.file={config}", f"--storage.tsdb.path={suite.folder}/peer",
            f"--web.listen-address={HOST}:{self.port}", "--web.enable-remote-write-receiver",
            f"--enable-feature={features}"], self.port)
        suite.add("querier", flags=[f"--enable-feature={features}"])
        peer.start()
        suite.start("ingester", "querier")
        self.suite = suite
        self.end_ms = int(time.time()) // 60 * 60_000
        self.load(demo_series(self.end_ms, MINUTES))

    def load(self, series):
        for port in (self.port, self.suite.querier.port):
            for start in range(0, len(series), 50):
                answer = remote_write(port, series[start:start + 50])
                check(answer.status in (200, 204), f"remote write: {answer.status} {answer.text}")
        wait_for("the data", lambda: self.suite.query("count({job='demo'})", self.end_ms / 1000))

    def ask(self, path, params):
        answers = []
        for port in (self.suite.querier.port, self.port):
            answer = get(port, path, params, timeout=60)
            answers.append((answer.status, answer.json()))
        return answers

    def forms(self, query):
        """How a query is asked: as a range over the middle, and at one time."""
        end = self.end_ms // 1000
        yield "/api/v1/query_range", {"query": query, "start": end - 40 * 60, "end": end - 5 * 60, "step": 47}
        yield "/api/v1/query", {"query": query, "time": end - 11 * 60 - 0.5}


def compare(pair, queries):
    """Asks all; raises with the first differences."""
    asked, failures = 0, []
    for query in queries:
        for path, params in pair.forms(query):
            ours, theirs = pair.ask(path, params)
            asked += 1
            wrong = difference(query, ours, theirs)
            if wrong:
                failures.append(f"{path.rsplit('/', 1)[-1]} {query}\n     {wrong}")
    print(f"{asked - len(failures)} of {asked} answers equal Prometheus's")
    check(not failures, f"{len(failures)} of {asked} answers differ:\n" + "\n".join(failures[:30]))


def option(name, default):
    if name not in sys.argv:
        return default
    at = sys.argv.index(name)
    value = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]
    return value


SEED = option("--seed", 1)
COUNT = option("--count", 1000)


def public_queries_give_the_same():
    queries = compliance_queries()
    with Suite() as suite:
        pair = Pair(suite)
        for query, should_fail in queries:
            if should_fail:
                path, params = next(pair.forms(query))
                ours, theirs = pair.ask(path, params)
                check(ours[0] >= 400 or theirs[0] < 400, f"{query} does not fail")
        compare(pair, [query for query, _ in queries])


def random_queries_give_the_same():
    with Suite() as suite:
        pair = Pair(suite)
        generator = Generator(SEED)
        generator.at = pair.end_ms // 1000 - 20 * 60
        compare(pair, [generator.query() for _ in range(COUNT)])


if __name__ == "__main__":
    main(public_queries_give_the_same, random_queries_give_the_same)
