"""The real Prometheus beside us, both scraping the same targets with the same
client settings: TLS both ways, credentials, OAuth 2.0, proxies, headers. Health
and the words of the last error are equal."""

import base64
import http.server
import json
import os
import select
import socket
import subprocess
import threading
import urllib.parse

from harness import HOST, Suite, check, free_port, get, main, need_peer, need_program, wait_for

# The hash of "fakepassword".
PASSWORD_HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


class Certificates:
    """Two authorities, a server's certificate of the first, a client's of each."""

    def __init__(self, folder):
        self.folder = folder
        for authority in ("ca", "other"):
            self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={authority}",
                         "-keyout", self.path(f"{authority}.key"), "-out", self.path(f"{authority}.pem"))
        self.sign("server", "ca", f"subjectAltName=IP:{HOST},DNS:narthex.test")
        self.sign("client", "ca", "extendedKeyUsage=clientAuth")
        self.sign("stranger", "other", "extendedKeyUsage=clientAuth")

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, authority, extension):
        with open(self.path("extension"), "w") as f:
            f.write(extension)
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
                     self.path(name + ".key"), "-out", self.path("request"))
        self.openssl("x509", "-req", "-in", self.path("request"), "-CA", self.path(authority + ".pem"), "-CAkey",
                     self.path(authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile",
                     self.path("extension"), "-out", self.path(name + ".pem"))

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Site:
    """A target that says what it misses, a token server and a proxy in one."""

    def __init__(self):
        outer = self
        self.tunnels = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, text, kind="text/plain; version=0.0.4"):
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                url = urllib.parse.urlparse(self.path)
                wanted = urllib.parse.parse_qs(url.query)
                for name, values in wanted.items():
                    if self.headers.get_all(name) != values:
                        self.answer(412, f"{name}: {self.headers.get_all(name)}, not {values}")
                        return
                if url.path == "/redirect":
                    self.send_response(302)
                    self.send_header("Location", "/metrics?" + url.query)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.answer(200, "a 1\n")

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                good = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"id:secret").decode()
                if self.path == "/broken":
                    self.answer(500, "out of order")
                elif not good:
                    self.answer(401, json.dumps({"error": "invalid_client", "error_description": "who?"}),
                                "application/json")
                else:
                    token = "-".join([form["grant_type"][0], form["scope"][0], form["audience"][0]])
                    self.answer(200, json.dumps({"access_token": token, "expires_in": 3600}), "application/json")

            def do_CONNECT(self):
                if self.headers.get("X-Pass") != "yes":
                    self.answer(403, "")
                    return
                outer.tunnels.append(self.path)
                host, _, port = self.path.partition(":")
                with socket.create_connection((host, int(port))) as other:
                    self.send_response(200)
                    self.end_headers()
                    ends = {self.connection: other, other: self.connection}
                    while True:
                        for ready in select.select(list(ends), [], [])[0]:
                            data = ready.recv(65536)
                            if not data:
                                self.close_connection = True
                                return
                            ends[ready].sendall(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.address = f"{HOST}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def jobs(suite, certificates, site, secure, mutual, plain):
    """Name: (target, settings). Braces are YAML's."""
    ca = certificates.path("ca.pem")
    tls = f"ca_file: {ca}"
    basic = "basic_auth: {username: alice, password: fakepassword}"
    password = suite.write("password", "fakepassword\n")
    token = suite.write("token", "filetoken\n")
    nobody = f"{HOST}:{free_port()}"
    both = f"cert_file: {certificates.path('client.pem')}, key_file: {certificates.path('client.key')}"

    def wants(**headers):
        return f"metrics_path: /metrics, params: {json.dumps({n.replace('_', '-'): [v] for n, v in headers.items()})}"

    def oauth2(path="", secret="secret", more=""):
        return (f"oauth2: {{client_id: id, client_secret: {secret}, token_url: 'http://{site.address}/{path}', "
                f"scopes: [s], endpoint_params: {{audience: x}}{more}}}")

    return {
        "tls": (secure, f"scheme: https, tls_config: {{{tls}}}, {basic}"),
        "tls_without_http2": (secure, f"scheme: https, tls_config: {{{tls}}}, {basic}, enable_http2: false"),
        "tls_by_name": (secure, f"scheme: https, tls_config: {{{tls}, server_name: narthex.test}}, {basic}"),
        "tls_versions": (secure, f"scheme: https, {basic}, "
                         f"tls_config: {{{tls}, min_version: TLS13, max_version: TLS13}}"),
        "tls_unverified": (secure, f"scheme: https, {basic}, tls_config: {{insecure_skip_verify: true}}"),
        "tls_unknown_authority": (secure, f"scheme: https, {basic}"),
        "tls_other_authority": (secure, f"scheme: https, tls_config: {{ca_file: {certificates.path('other.pem')}}}"),
        "tls_to_plain": (plain, "scheme: https"),
        "plain_to_tls": (secure, "scheme: http"),
        "password_file": (secure, f"scheme: https, tls_config: {{{tls}}}, "
                          f"basic_auth: {{username: alice, password_file: {password}}}"),
        "wrong_password": (secure, f"scheme: https, tls_config: {{{tls}}}, "
                           "basic_auth: {username: alice, password: x}"),
        "client_certificate": (mutual, f"scheme: https, tls_config: {{{tls}, {both}}}"),
        "credentials_file": (site.address, f"authorization: {{type: Token, credentials_file: {token}}}, "
                             + wants(Authorization="Token filetoken")),
        "credentials_file_missing": (site.address, "authorization: {credentials_file: /nonexistent/token}"),
        "oauth2": (site.address, oauth2() + ", " + wants(Authorization="Bearer client_credentials-s-x")),
        "oauth2_refused": (site.address, oauth2(secret="wrong")),
        "oauth2_broken": (site.address, oauth2("broken")),
        "redirect": (site.address, f"authorization: {{credentials: t}}, params: {{Authorization: ['Bearer t']}}, "
                     "metrics_path: /redirect"),
        "redirect_not_followed": (site.address, "follow_redirects: false, metrics_path: /redirect"),
        "proxy": ("service.invalid:80", f"proxy_url: 'http://{site.address}'"),
        "proxy_tunnel": (secure, f"scheme: https, tls_config: {{{tls}}}, {basic}, "
                         f"proxy_url: 'http://{site.address}', proxy_connect_header: {{X-Pass: ['yes']}}"),
        "proxy_refuses": (secure, f"scheme: https, tls_config: {{{tls}}}, proxy_url: 'http://{site.address}'"),
        "proxy_away": ("service.invalid:80", f"proxy_url: 'http://{nobody}'"),
        "no_proxy": (site.address, f"proxy_url: 'http://{nobody}', no_proxy: '127.0.0.0/8'"),
        "nobody": (nobody, "scheme: http"),
    }


def scrapes_as_prometheus():
    with Suite() as suite:
        certificates = Certificates(suite.folder)
        site = suite.own(Site())
        server = f"cert_file: {certificates.path('server.pem')}\n  key_file: {certificates.path('server.key')}\n"
        web = suite.write("web.yml", f"tls_server_config:\n  {server}"
                          f"basic_auth_users:\n  alice: {PASSWORD_HASH}\n")
        mutual_web = suite.write(
            "mutual_web.yml", f"tls_server_config:\n  {server}  client_auth_type: RequireAndVerifyClientCert\n"
            f"  client_ca_file: {certificates.path('ca.pem')}\n")
        ports = [free_port() for _ in range(3)]
        addresses = [f"{HOST}:{port}" for port in ports]
        binary = need_peer("prometheus")
        # Served by Go, with HTTP/2.
        for name, address, settings in (("secure", addresses[0], web), ("mutual", addresses[1], mutual_web)):
            empty = suite.write(name + ".yml", "")
            suite.peer(name, [binary, f"--config.file={empty}", f"--storage.tsdb.path={suite.folder}/{name}",
                              f"--web.listen-address={address}", f"--web.config.file={settings}"],
                       int(address.rpartition(":")[2])).start(wait=False)
        configs = jobs(suite, certificates, site, *addresses)
        config = suite.write("prometheus.yml", (
            "global: {scrape_interval: 1s, scrape_timeout: 900ms}\nscrape_configs:\n" + "".join(
                f"- {{job_name: {job}, static_configs: [{{targets: ['{target}']}}], {settings}}}\n"
                for job, (target, settings) in configs.items())))
        peer = suite.peer("prometheus", [
            binary, f"--config.file={config}", f"--storage.tsdb.path={suite.folder}/peer",
            f"--web.listen-address={addresses[2]}"], ports[2])
        suite.add("scraper")
        peer.start(wait=False)
        suite.start("ingester", "querier", "scraper")
        peer.wait_ready()

        def state(port):
            targets = get(port, "/api/v1/targets").json()["data"]["activeTargets"]
            return {target["labels"]["job"]: (target["health"], target["lastError"]) for target in targets}

        def same():
            ours, theirs = state(suite.querier.port), state(ports[2])
            return len(theirs) == len(configs) and ours == theirs
        try:
            wait_for("the same health and errors", same, timeout=20, every=0.5)
        except AssertionError:
            ours, theirs = state(suite.querier.port), state(ports[2])
            differences = [f"{job}:\n  ours   {ours.get(job)}\n  theirs {theirs.get(job)}"
                           for job in configs if ours.get(job) != theirs.get(job)]
            raise AssertionError("\n".join(differences))
        good = sum(health == "up" for health, _ in state(ports[2]).values())
        check(good >= 13, f"most targets are up: {state(ports[2])}")
        check(site.tunnels, "nothing went through the tunnel")
        print(f"        {len(configs)} jobs, {good} up", flush=True)


def http2_is_spoken_over_tls_unless_forbidden():
    """nghttpd refuses whoever does not agree on h2 in the TLS handshake."""
    binary = need_program("nghttpd")
    with Suite() as suite:
        certificates = Certificates(suite.folder)
        port = free_port()
        suite.write("site/metrics", "a 1\n")
        server = subprocess.Popen([binary, f"--address={HOST}", "--htdocs=" + os.path.join(suite.folder, "site"),
                                   str(port), certificates.path("server.key"), certificates.path("server.pem")])
        suite.cleanups += [server.wait, server.kill]
        common = (f"scheme: https, fallback_scrape_protocol: PrometheusText0.0.4, "
                  f"tls_config: {{ca_file: {certificates.path('ca.pem')}}}, static_configs: [{{targets: ['{HOST}:{port}']}}]")
        suite.write("prometheus.yml", "global: {scrape_interval: 1s, scrape_timeout: 900ms}\nscrape_configs:\n"
                    f"- {{job_name: h2, {common}}}\n- {{job_name: h1, {common}, enable_http2: false}}\n")
        suite.start("ingester", "querier", "scraper")

        def health():
            targets = suite.api("/targets")["activeTargets"]
            return {target["labels"]["job"]: target["health"] for target in targets}
        wait_for("health by protocol", lambda: health() == {"h2": "up", "h1": "down"}, timeout=10)
        wait_for("the sample", lambda: suite.value('a{job="h2"}') == 1)


main(scrapes_as_prometheus, http2_is_spoken_over_tls_unless_forbidden)
