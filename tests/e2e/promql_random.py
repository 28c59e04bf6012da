"""Random PromQL over the demo series: grammar-driven, reproducible by seed."""

import random

FLOATS = ["demo_memory_usage_bytes", "demo_disk_usage_bytes", "demo_num_cpus", "demo_odd_values", "demo_born_late",
          "demo_intermittent_metric", "demo_batch_last_success_timestamp_seconds", "up"]
DISTINCT = ["demo_memory_usage_bytes", "demo_cpu_usage_seconds_total"]
COUNTERS = ["demo_cpu_usage_seconds_total", "demo_items_shipped_total", "demo_api_request_duration_seconds_count",
            "demo_api_request_duration_seconds_bucket"]
LABELS = ["instance", "job", "mode", "type", "method", "path", "status", "le", "__name__", "nonexistent"]
MATCHERS = ['instance=~".*:1000[01]"', 'job="demo"', 'type!="free"', 'mode=~"idle|user"', 'status!~"5.."',
            'nonexistent=""', 'method="GET"', 'instance!=""', 'le="+Inf"', 'job=~".+"']
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
MATH = ["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "sin", "cos", "tan", "asin", "acos",
        "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad", "round"]
DATES = ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"]
OVER_TIME = ["avg", "sum", "min", "max", "count", "last", "present", "stddev", "stdvar", "absent"]
OF_RANGE = ["rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", ">", "<", ">=", "<="]
SETS = ["and", "or", "unless"]
DURATIONS = ["15s", "45s", "1m", "2m30s", "5m", "10m"]
NUMBERS = ["0", "1", "2", "-1", "0.5", "100", "1e9", "NaN", "Inf", "-Inf", "0x1f", "3.7"]


class Generator:
    """Makes one query after another; `experimental` ones need the feature
    promql-experimental-functions."""

    def __init__(self, seed, experimental=True):
        self.r = random.Random(seed)
        self.experimental = experimental

    def query(self):
        depth = self.r.choice([1, 2, 2, 3, 3, 4])
        return self.scalar(depth) if self.r.random() < 0.04 else self.vector(depth)

    def pick(self, *choices):
        return self.r.choice(choices)

    def chance(self, p):
        return self.r.random() < p

    def labels(self):
        names = self.r.sample(LABELS, self.r.choice([0, 1, 1, 2, 3]))
        return "(" + ", ".join(names) + ")"

    def selector(self, names=None):
        name = self.r.choice(names or FLOATS + COUNTERS)
        if self.chance(0.05):
            return '{__name__=~"demo_(num_cpus|disk_.*)"}'
        matchers = self.r.sample(MATCHERS, self.r.choice([0, 0, 0, 1, 1, 2]))
        return name + ("{" + ", ".join(matchers) + "}" if matchers else "")

    def modifiers(self):
        text = ""
        if self.chance(0.15):
            text += " offset " + self.pick("", "-") + self.r.choice(DURATIONS)
        if self.chance(0.08):
            text += self.pick(" @ start()", " @ end()", f" @ {self.at}")
        return text

    def timestamp(self):
        """Of a selection itself, whose modifiers count in a way of their own."""
        at = self.pick("", " @ start()", " @ end()", f" @ {self.at}")
        return f"timestamp({self.selector()}{at}{self.pick('', ' offset 1m', ' offset -90s', ' offset 7m')})"

    at = 0  # A time within the data, in seconds.

    def scalar(self, depth):
        if depth <= 1:
            return self.pick(self.r.choice(NUMBERS), self.r.choice(NUMBERS), "time()", "pi()")
        kind = self.r.randrange(5)
        if kind == 0:
            return f"scalar({self.vector(depth - 1)})"
        if kind == 1:
            return f"({self.scalar(depth - 1)} {self.r.choice(ARITHMETIC)} {self.scalar(depth - 1)})"
        if kind == 2:
            return f"({self.scalar(depth - 1)} {self.r.choice(COMPARISONS)} bool {self.scalar(depth - 1)})"
        if kind == 3:
            return f"-{self.scalar(depth - 1)}"
        return self.scalar(1)

    def range(self, depth, names=None):
        if depth > 2 and self.chance(0.25):
            step = self.pick("", "15s", "30s", "1m")
            return f"({self.vector(depth - 2)})[{self.r.choice(DURATIONS)}:{step}]{self.modifiers()}"
        return f"{self.selector(names)}[{self.r.choice(DURATIONS)}]{self.modifiers()}"

    def vector(self, depth):
        if depth <= 1:
            return self.selector() + self.modifiers()
        kinds = [self.aggregate, self.aggregate, self.selection, self.of_range, self.of_range, self.over_time,
                 self.math, self.binary, self.binary, self.binary_scalar, self.set_operator, self.function]
        return self.r.choice(kinds)(depth)

    def grouping(self):
        return "" if self.chance(0.3) else f" {self.pick('by', 'without')} {self.labels()} "

    def aggregate(self, depth):
        if self.chance(0.15):
            return f"quantile{self.grouping()}({self.pick('0.5', '0.9', '0', '1', '-1', '2', 'NaN')}, {self.vector(depth - 1)})"
        if self.chance(0.08):
            return f"count_values{self.grouping()}(\"{self.pick('value', 'instance')}\", {self.selector()})"
        return f"{self.r.choice(AGGREGATIONS)}{self.grouping()}({self.vector(depth - 1)})"

    def selection(self, depth):
        # Prometheus passes computed series on in any order, so that ties fall
        # by chance: only stored and distinct ones are selected from.
        inner = self.pick(self.selector(DISTINCT), f"rate(demo_cpu_usage_seconds_total[{self.r.choice(DURATIONS[2:])}])")
        k = self.pick("1", "2", "3", "0", "-1", "100", "1.7")
        if self.experimental and self.chance(0.15):
            return f"limitk{self.grouping()}({k}, {self.selector(DISTINCT)})"
        if self.experimental and self.chance(0.15):
            return f"limit_ratio{self.grouping()}({self.pick('0.5', '-0.5', '1', '0.2', '2')}, {inner})"
        return f"{self.pick('topk', 'bottomk')}{self.grouping()}({k}, {inner})"

    def of_range(self, depth):
        return f"{self.r.choice(OF_RANGE)}({self.range(depth, COUNTERS if self.chance(0.7) else None)})"

    def over_time(self, depth):
        roll = self.r.random()
        if roll < 0.1:
            return f"quantile_over_time({self.pick('0.5', '0.95', '-1', '1.5')}, {self.range(depth)})"
        if roll < 0.17:
            return f"predict_linear({self.range(depth)}, {self.pick('60', '-600', '3600')})"
        if roll < 0.22 and self.experimental:
            return f"double_exponential_smoothing({self.range(depth)}, 0.3, 0.7)"
        if roll < 0.28 and self.experimental:
            return f"ts_of_{self.pick('max', 'min', 'last')}_over_time({self.range(depth)})"
        return f"{self.r.choice(OVER_TIME)}_over_time({self.range(depth)})"

    def math(self, depth):
        name = self.r.choice(MATH + ["clamp", "clamp_min", "clamp_max"] + DATES)
        inner = self.vector(depth - 1)
        if name == "clamp":
            return f"clamp({inner}, {self.scalar(1)}, {self.scalar(1)})"
        if name in ("clamp_min", "clamp_max") or (name == "round" and self.chance(0.5)):
            return f"{name}({inner}, {self.scalar(1)})"
        return f"{name}({inner})"

    def matching(self):
        text = ""
        if self.chance(0.7):
            text = f" {self.pick('on', 'ignoring')} {self.labels()}"
            if self.chance(0.35):
                text += f" {self.pick('group_left', 'group_right')} {self.pick('', '(type)', '(mode, job)')}"
        return text

    def binary(self, depth):
        if self.chance(0.35):
            # The same on both sides matches most of the time.
            left = right = self.vector(depth - 1)
            if self.chance(0.5):
                right = f"sum without (mode, type) ({left})"
                return (f"({left} {self.r.choice(ARITHMETIC)} ignoring (mode, type, __name__)"
                        f" group_left {right})")
        else:
            left, right = self.vector(depth - 1), self.vector(depth - 1)
        if self.chance(0.35):
            return f"({left} {self.r.choice(COMPARISONS)} {self.pick('', 'bool')}{self.matching()} {right})"
        return f"({left} {self.r.choice(ARITHMETIC)}{self.matching()} {right})"

    def binary_scalar(self, depth):
        sides = [self.vector(depth - 1), self.scalar(self.pick(1, 1, 2))]
        self.r.shuffle(sides)
        if self.chance(0.4):
            return f"({sides[0]} {self.r.choice(COMPARISONS)} {self.pick('', 'bool')} {sides[1]})"
        return f"({sides[0]} {self.r.choice(ARITHMETIC)} {sides[1]})"

    def set_operator(self, depth):
        match = f" {self.pick('on', 'ignoring')} {self.labels()}" if self.chance(0.5) else ""
        return f"({self.vector(depth - 1)} {self.r.choice(SETS)}{match} {self.vector(depth - 1)})"

    def function(self, depth):
        inner = self.vector(depth - 1)
        options = [
            lambda: f"-({inner})",
            lambda: f"absent({inner})",
            lambda: f"timestamp({inner})",
            self.timestamp,
            lambda: f"sort{self.pick('', '_desc')}({inner})",
            lambda: f"vector({self.scalar(depth - 1)})",
            lambda: f'label_replace({inner}, "{self.pick("new", "job", "instance", "__name__")}", "$1-x", '
                    f'"{self.r.choice(LABELS)}", "{self.pick("(.*):.*", ".*", "de(.+)", "")}")',
            lambda: f'label_join({inner}, "{self.pick("new", "job")}", "/", "job", "{self.r.choice(LABELS)}")',
            lambda: "histogram_quantile(" + self.pick("0.9", "0.5", "0", "1", "-2", "NaN") +
                    f", rate(demo_api_request_duration_seconds_bucket[{self.r.choice(DURATIONS)}]))",
            lambda: "histogram_quantile(0.7, sum by (le" + self.pick("", ", instance", ", path") +
                    f") (rate(demo_api_request_duration_seconds_bucket[{self.r.choice(DURATIONS)}])))",
        ]
        if self.experimental:
            options += [lambda: f'sort_by_label({inner}, "instance", "{self.r.choice(LABELS)}")',
                        lambda: f"info({self.selector()})"]
        return self.r.choice(options)()


HISTOGRAMS = ["latency", "latency", "sizes", "temperatures", "mixed", "latency{job='int'}", "latency{i='1'}",
              "sizes{i='6'}", "{job=~'int|float'}", "latency{job='float'}"]
OF_HISTOGRAMS = ["sum_over_time", "avg_over_time", "last_over_time", "count_over_time", "changes", "resets",
                 "present_over_time", "min_over_time", "max_over_time", "stddev_over_time", "absent_over_time", "deriv",
                 "idelta", "delta"]
# Not of gauges: see the class Source of histograms.py.
OF_COUNTERS = ["rate", "increase", "irate"]
PARTS = ["histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar", "abs"]


class HistogramGenerator(Generator):
    """Makes queries over the series of histograms.py."""

    def query(self):
        return self.vector(self.pick(1, 1, 2, 2, 3))

    def selector(self, names=None):
        return self.r.choice(names or HISTOGRAMS)

    def range(self, depth=0, names=None):
        offset = self.pick("", "", "", "", " offset 1m", " offset 30s", " @ end()")
        return f"{self.selector(names)}[{self.pick('15s', '45s', '1m', '2m', '5m', '10m')}]{offset}"

    def vector(self, depth):
        if depth <= 0:
            return self.selector() + self.pick("", "", "", " offset 1m")
        return self.r.choice([self.of_range, self.of_range, self.aggregate, self.aggregate, self.part, self.part,
                              self.binary, lambda _: f"-({self.vector(depth - 1)})"])(depth)

    def of_range(self, depth):
        if self.chance(0.4):
            return f"{self.r.choice(OF_COUNTERS)}({self.range(names=[h for h in HISTOGRAMS if h != 'temperatures'])})"
        if self.chance(0.1):
            return f"quantile_over_time(0.5, {self.range()})"
        if self.chance(0.1):
            return f"{self.pick('sum', 'avg', 'count', 'last')}_over_time({self.selector()}[2m:15s])"
        return f"{self.r.choice(OF_HISTOGRAMS)}({self.range()})"

    def aggregate(self, depth):
        grouping = self.pick("", " by (job) ", " without (i) ")
        return f"{self.pick('sum', 'avg', *AGGREGATIONS)}{grouping}({self.vector(depth - 1)})"

    def part(self, depth):
        inner = self.vector(depth - 1)
        if self.chance(0.3):
            return f"histogram_quantile({self.pick('0', '0.1', '0.5', '0.9', '0.99', '1', '-1', '2', 'NaN')}, {inner})"
        if self.chance(0.3):
            low, high = self.pick("0", "-1", "0.5", "1", "-Inf", "3"), self.pick("2", "4", "0.3", "+Inf", "100")
            return f"histogram_fraction({low}, {high}, {inner})"
        return f"{self.r.choice(PARTS)}({inner})"

    def binary(self, depth):
        left = self.vector(depth - 1)
        if self.chance(0.5):
            return f"({left} {self.pick('*', '/', '+', '-', '==', '!=')} {self.pick('2', '0.5', '4', '0')})"
        match = self.pick("", " on (i)", " ignoring (job)")
        operator = self.pick("+", "-", "==", "!=", "and", "or", "unless", "*")
        return f"({left} {operator}{match} {self.vector(depth - 1)})"
