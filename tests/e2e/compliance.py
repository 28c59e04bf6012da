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
FEATURES = ["promql-experimental-functions", "promql-per-step-stats"]
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

# The peer is Prometheus 3.5, ours answers as 3.14. What is made the same of both, and why:
NOTES = [
    # 3.6 (prometheus/prometheus#16794): warnings of histogram_quantile() name the metric only with delayed name removal.
    (r'(bucket label "[^"]*" is missing or has a malformed value of "[^"]*") for metric name "[^"]*"', r"\1"),
    # Of several metrics in one group, which is named depends on the order in which `or` gives them.
    (r'(exponential and custom buckets schemas) for metric name "[^"]*"', r"\1"),
    # 3.6 (#16896): parentheses around an argument are gone before annotations take its position.
    (r" \(\d+:\d+\)", ""),
]
NEW_NOTES = [
    # 3.12 (#18498): sorting the result of a range query is warned of.
    "sort is ineffective",
    # 3.7 (#17051, #17094): so is adding histograms of which some are known to follow a reset and some not to.
    "conflicting counter resets",
]
ERRORS = [
    # 3.6 (#17031 and others): where expressions end, and so which position a parse error has.
    (r"\d+:\d+: parse error", "parse error"),
    # The name of a token in the generated parser differs with its grammar.
    (r'"<Item \d+>" ', ""),
]
# What theirs says where ours differs on purpose.
# 3.8 (#17278): histograms with different custom bounds are added by what their bounds have in common.
RECONCILED = "incompatible bucket layout encountered for binary operator"
# What ours says there: 3.7 (#17051): what is known to follow a reset is not subtracted from what does not.
COLLISION = "conflicting counter resets during histogram (addition|subtraction)"
# And here: later than 3.5, counts and sums of histograms that cannot be added because of their buckets are not added
# either, although nobody looks at these.
MIXED = "mix of histograms with exponential and custom buckets"
COUNTS = re.compile(r"histogram_(count|sum|avg)\(")
# 3.9 (#17668): a comparison with several matches is an error even when none of them holds.
STRICTER = "multiple matches for labels"


def same_number(a, b):
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if x == y:
        return True
    if math.isinf(x) or math.isinf(y):
        return False
    # What is left of a difference of equals is rounding, in the order in which they were added.
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


def replaced(text, replacements):
    for pattern, by in replacements:
        text = re.sub(pattern, by, text)
    return text


def notes(body, kind):
    return sorted({replaced(text, NOTES) for text in body.get(kind, [])
                   if not any(new in text for new in NEW_NOTES)})


def error_text(body):
    text = replaced(body["error"], ERRORS)
    # Which of two things wrong with a match is found first depends on the order in which computed series come, which
    # Prometheus leaves to its hash tables.
    if re.match("multiple matches for labels|found duplicate series", text):
        return "no unique match"
    return text


def stricter(query, ours, theirs):
    return (ours[0] == 422 and theirs[0] == 200 and re.search("[=!<>]", query)
            and ours[1]["error"].startswith(STRICTER))


def known(query, ours, theirs):
    """Whether the annotations tell that newer versions of Prometheus compute something else."""
    def mixed(body):
        return any(MIXED in text for text in body.get("warnings", []))
    if COUNTS.search(query) and mixed(ours) and not mixed(theirs):
        return True
    return (any(RECONCILED in text for text in theirs.get("warnings", []))
            or any(re.search(COLLISION, text) for text in ours.get("warnings", [])))


def difference(query, ours, theirs):
    """Empty when two answers (status, body) mean the same."""
    if stricter(query, ours, theirs) or known(query, ours[1], theirs[1]):
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


def queries_look_at_as_many_samples():
    """What a query says it has looked at, in all and at each step. The most
    samples held at a time are each system's own."""
    with Suite() as suite:
        pair = Pair(suite)
        generator = Generator(SEED)
        generator.at = pair.end_ms // 1000 - 20 * 60
        queries = [query for query, _ in compliance_queries()] + [generator.query() for _ in range(COUNT)]
        asked, failures = 0, []
        for query in queries:
            for path, params in pair.forms(query):
                answers = pair.ask(path, {**params, "stats": "all"})
                if any(status != 200 for status, _ in answers):
                    continue
                asked += 1
                ours, theirs = ([body["data"]["stats"]["samples"].get(name) for name in
                                 ("totalQueryableSamples", "totalQueryableSamplesPerStep")] for _, body in answers)
                if "info(" in query:
                    # Which of its data labels are looked at depends on all steps, of which only the sum is kept.
                    ours, theirs = ours[:1], theirs[:1]
                if ours != theirs:
                    failures.append(f"{path.rsplit('/', 1)[-1]} {query}\n     {str(ours)[:200]} / {str(theirs)[:200]}")
        print(f"{asked - len(failures)} of {asked} queries look at as many samples")
        check(not failures, f"{len(failures)} of {asked} differ:\n" + "\n".join(failures[:30]))


def random_queries_give_the_same():
    with Suite() as suite:
        pair = Pair(suite)
        generator = Generator(SEED)
        generator.at = pair.end_ms // 1000 - 20 * 60
        compare(pair, [generator.query() for _ in range(COUNT)])


if __name__ == "__main__":
    main(public_queries_give_the_same, random_queries_give_the_same, queries_look_at_as_many_samples)
