"""Starts the real binaries on free ports and talks to them."""

import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

sys.dont_write_bytecode = True

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("NARTHEX_BIN", os.path.join(ROOT, "build/release/bin"))
PEERS = os.path.join(os.environ.get("PEERS_DIR", "/opt/peers"), "root/usr/bin")
HOST = "127.0.0.1"


class Skipped(Exception):
    """The test cannot run here; the text says what is missing."""


def need_peer(name):
    path = os.path.join(PEERS, name)
    if not os.path.exists(path):
        raise Skipped(f"{path} is not installed")
    return path


def need_program(name):
    path = shutil.which(name)
    if not path:
        raise Skipped(f"{name} is not installed")
    return path


reservations = []


def reserve(port):
    """Keeps a port for this process: others may pick it before its server
    listens. A name that lives as long as the socket says so to all tests."""
    taken = socket.socket(socket.AF_UNIX)
    try:
        taken.bind(f"\0narthex-test-port-{port}")
        with socket.socket() as s:
            s.bind((HOST, port))
    except OSError:
        taken.close()
        return False
    reservations.append(taken)
    return True


def free_port(also=()):
    """A free port, as are those at the distances `also` above it. Below those
    that the kernel gives to outgoing connections, which would take them away."""
    while True:
        port = random.randrange(10000, 32000)
        if all(reserve(port + distance) for distance in {0, *also}):
            return port


def wait_for(what, condition, timeout=30, every=0.05):
    """Polls until `condition()` gives something true, and returns that."""
    give_up = time.time() + timeout
    while True:
        try:
            value = condition()
            error = None
        except (OSError, http.client.HTTPException, KeyError, IndexError, ValueError) as e:
            value, error = None, e
        if value:
            return value
        if time.time() > give_up:
            raise AssertionError(f"waited {timeout}s in vain for {what}: {error or value!r}")
        time.sleep(every)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}:\n   got {got!r}\nwanted {wanted!r}")


# ------------------------------------------------------------------------ HTTP


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)


def request(port, method, path, body=None, headers=None, timeout=30):
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def get(port, path, params=None, **kwargs):
    query = "?" + urllib.parse.urlencode(params, doseq=True) if params else ""
    return request(port, "GET", path + query, **kwargs)


class Exposition:
    """An exporter whose answer a test sets. `pages` maps a path to a text or bytes, to
    (content type, one of these) or to a function of the number of the request that
    gives one of these."""

    def __init__(self, pages=None):
        outer = self
        self.pages = pages or {"/metrics": ""}
        self.counts = {}
        self.delay = 0
        self.closed = False
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if outer.closed:  # A connection from before.
                    self.close_connection = True
                    return
                path = self.path.partition("?")[0]
                with lock:
                    number = outer.counts.get(path, 0)
                    outer.counts[path] = number + 1
                page = outer.pages.get(path)
                if callable(page):
                    page = page(number)
                time.sleep(outer.delay)
                kind = None
                if isinstance(page, tuple):
                    kind, page = page
                body = page if isinstance(page, bytes) else (page or "").encode()
                if kind is None:
                    # A list is what http_sd_configs asks for.
                    kind = "application/json" if body.startswith(b"[") else "text/plain; version=0.0.4"
                self.send_response(200 if page is not None else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def close(self):
        if not self.closed:
            self.closed = True
            self.server.shutdown()
            self.server.server_close()


class Webhook:
    """Collects what is posted to it as JSON."""

    def __init__(self):
        outer = self
        self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{HOST}:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def ways_to_ask(now):
    """(path, parameters) of all that reads from ingesters, about series `m`."""
    span = {"start": now - 600, "end": now}
    return [
        ("/api/v1/query", {"query": "sum(m)", "time": now}),
        ("/api/v1/query", {"query": "m[5m]", "time": now}),
        ("/api/v1/query", {"query": "sum by (i) (rate(m[2m])) / count(m)", "time": now}),
        ("/api/v1/query", {"query": "topk(3, m)", "time": now}),
        ("/api/v1/query_range", {"query": "avg_over_time(m[1m])", **span, "step": 7}),
        ("/api/v1/series", {**span, "match[]": "m"}),
        ("/api/v1/labels", span),
        ("/api/v1/labels", {**span, "match[]": "m"}),
        ("/api/v1/label/i/values", span),
        ("/api/v1/query_exemplars", {**span, "query": "m"}),
        ("/api/v1/status/tsdb", {}),
        ("/federate", {"match[]": "m"}),
    ]


# ---------------------------------------------------------------- remote write


def _varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _bytes_field(number, data):
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def write_request(series):
    """prometheus.WriteRequest of [(labels, [(timestamp_ms, value)])]."""
    import struct
    out = b""
    for labels, samples in series:
        message = b""
        for name, value in sorted(labels.items()):
            message += _bytes_field(1, _bytes_field(1, name.encode()) + _bytes_field(2, value.encode()))
        for timestamp, value in samples:
            sample = _varint(1 << 3 | 1) + struct.pack("<d", value) + _varint(2 << 3) + _varint(timestamp)
            message += _bytes_field(2, sample)
        out += _bytes_field(1, message)
    return out


def snappy_block(data):
    """The snappy block format, all of it as literals."""
    out = _varint(len(data))
    for start in range(0, len(data), 60000):
        part = data[start:start + 60000]
        out += bytes([61 << 2]) + (len(part) - 1).to_bytes(2, "little") + part
    return out


def remote_write(port, series, **kwargs):
    return request(port, "POST", "/api/v1/write", snappy_block(write_request(series)), {
        "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0"}, **kwargs)


# ------------------------------------------------------------------- processes


class Service:
    """One process of ours (or a peer), which can die and come back."""

    def __init__(self, name, command, port, log):
        self.name, self.command, self.port, self.log = name, command, port, log
        self.process = None

    def start(self, wait=True, timeout=30):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.command, stdout=out, stderr=out)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}: {self.log_tail()}")
            return get(self.port, "/-/ready").status == 200
        wait_for(f"{self.name} to be ready", ready, timeout, 0.02)

    def log_tail(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-2000:]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, and wait until it is gone."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, timeout=30):
        """SIGTERM; the exit status."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout)
        return self.process.returncode if self.process else 0

    def metric(self, line_start):
        """The value of the first metric line with this beginning; 0 without."""
        for line in get(self.port, "/metrics").text.splitlines():
            if line.startswith(line_start):
                return float(line.rpartition(" ")[2])
        return 0.0


class Suite:
    """The services of Narthex with everything else a test starts."""

    def __init__(self, config="", alertmanager_config=None):
        self.folder = tempfile.mkdtemp(prefix="narthex-e2e-")
        self.services = {}
        self.cleanups = []
        self.config = os.path.join(self.folder, "prometheus.yml")
        self.alertmanager_config = os.path.join(self.folder, "alertmanager.yml")
        self.write("prometheus.yml", config)
        self.write("alertmanager.yml", alertmanager_config or "{route: {receiver: none}, receivers: [{name: none}]}")
        self.ports = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for service in self.services.values():
            service.kill()
        for cleanup in reversed(self.cleanups):
            cleanup()
        if kind is not None and kind is not Skipped:
            for service in self.services.values():
                if service.process:
                    print(f"--- log of {service.name}\n{service.log_tail()}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def own(self, thing):
        """Closes `thing` at the end."""
        self.cleanups.append(thing.close)
        return thing

    def port_of(self, name):
        """(HTTP, gRPC) of a service, chosen when first asked for."""
        if name not in self.ports:
            self.ports[name] = (free_port(), free_port())
        return self.ports[name]

    def grpc(self, *names):
        return ",".join(f"{HOST}:{self.port_of(name)[1]}" for name in names)

    def add(self, name, kind=None, flags=(), wiring=None):
        """A service of ours; `kind` is which when `name` is another, `wiring`
        maps a kind to the names of the processes it is reached at."""
        kind = kind or name
        wiring = wiring or {}

        def addresses(of):
            return f"--{of}.addresses=" + self.grpc(*wiring.get(of, [of]))
        port, grpc = self.port_of(name)
        command = [os.path.join(BIN, f"narthex-{kind}"), f"--web.listen-address={HOST}:{port}",
                   f"--grpc.listen-address={HOST}:{grpc}", "--web.enable-lifecycle"]
        if kind == "ingester":
            command.append("--storage.tsdb.path=" + os.path.join(self.folder, name))
        elif kind == "scraper":
            command += [f"--config.file={self.config}", addresses("ingester"),
                        "--storage.path=" + os.path.join(self.folder, name)]
        elif kind == "querier":
            command += [f"--config.file={self.config}", addresses("ingester"), addresses("scraper"),
                        addresses("ruler"), "--web.enable-remote-write-receiver", "--web.enable-admin-api"]
        elif kind == "ruler":
            command += [f"--config.file={self.config}", addresses("ingester"), addresses("querier")]
        elif kind == "alertmanager":
            command += [f"--config.file={self.alertmanager_config}",
                        "--storage.path=" + os.path.join(self.folder, name)]
        elif kind == "pushgateway":
            command += ["--storage.path=" + os.path.join(self.folder, name)]
        service = Service(name, [*command, *flags], port, os.path.join(self.folder, name + ".log"))
        self.services[name] = service
        return service

    def start(self, *names):
        """Adds (where needed) and starts services; ready when this returns."""
        for name in names:
            if name not in self.services:
                self.add(name)
        for name in names:
            self.services[name].start(wait=False)
        for name in names:
            self.services[name].wait_ready()

    def peer(self, name, command, port):
        service = Service(name, command, port, os.path.join(self.folder, name + ".log"))
        self.services[name] = service
        return service

    def __getattr__(self, name):
        try:
            return self.__dict__["services"][name]
        except KeyError:
            raise AttributeError(name) from None

    # What most tests ask.

    def api(self, path, params=None, querier="querier"):
        """`data` of a successful answer."""
        answer = get(self.services[querier].port, "/api/v1" + path, params)
        if answer.status != 200:
            raise ValueError(f"{path} {params}: {answer.status} {answer.text[:500]}")
        return answer.json()["data"]

    def query(self, expression, at=None, querier="querier"):
        params = {"query": expression}
        if at is not None:
            params["time"] = at
        return self.api("/query", params, querier)["result"]

    def value(self, expression, at=None, querier="querier"):
        """The value of a result of one sample; None without."""
        result = self.query(expression, at, querier)
        return float(result[0]["value"][1]) if result else None


def scrape_config(targets, interval="1s", extra=""):
    """A prometheus.yml with one job `test` of the given addresses."""
    listed = ", ".join(f"'{target}'" for target in targets)
    return (f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: 1s}}\n"
            f"scrape_configs:\n- job_name: test\n  static_configs: [{{targets: [{listed}]}}]\n{extra}")


def make_blocks(suite, directory, hours):
    """Blocks of two hours with a sample a minute; their start times in s."""
    start = int(time.time()) // 7200 * 7200 - (hours + 4) * 3600
    text = "# TYPE old gauge\n" + "".join(
        f'old{{job="backfill"}} {i} {start + i * 60}\n' for i in range(hours * 60)) + "# EOF\n"
    path = suite.write("old.om", text)
    subprocess.run([need_peer("promtool"), "tsdb", "create-blocks-from", "openmetrics", path, directory],
                   check=True, capture_output=True)
    return start


def main(*tests):
    """Runs the tests named on the command line, or all."""
    wanted = sys.argv[1:]
    failed, skipped = [], []
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        begin = time.time()
        try:
            test()
            print(f"ok      {test.__name__} ({time.time() - begin:.1f}s)", flush=True)
        except Skipped as e:
            skipped.append(test.__name__)
            print(f"SKIPPED {test.__name__}: {e}", flush=True)
        except Exception:
            failed.append(test.__name__)
            traceback.print_exc()
            print(f"FAILED  {test.__name__} ({time.time() - begin:.1f}s)", flush=True)
    if failed:
        sys.exit(1)
    if skipped and len(skipped) == len([t for t in tests if not wanted or t.__name__ in wanted]):
        sys.exit(77)
