"""Every service answers gRPC health checks and lists its contracts, as
Kubernetes's probes and grpcurl ask for them."""

import os
import subprocess

from harness import HOST, Suite, check, check_equal, main, need_program, scrape_config

SERVICES = ["ingester", "scraper", "querier", "ruler", "alertmanager", "pushgateway"]
# What has a contract beside health and reflection.
CONTRACTS = {"ingester": "narthex.v1.Ingester", "scraper": "narthex.v1.Scraper",
             "querier": "narthex.v1.Querier", "ruler": "narthex.v1.Ruler"}


def call(suite, name, method, message):
    """The message that answers a unary call, over plain HTTP/2."""
    request = os.path.join(suite.folder, "request")
    with open(request, "wb") as f:
        f.write(b"\0" + len(message).to_bytes(4, "big") + message)
    port = suite.port_of(name)[1]
    done = subprocess.run(
        [need_program("curl"), "--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "10",
         "-H", "content-type: application/grpc", "-H", "te: trailers",
         "--data-binary", f"@{request}", f"http://{HOST}:{port}/{method}"], capture_output=True)
    check_equal(done.returncode, 0, f"{name}, {method}: {done.stderr.decode()}")
    check(len(done.stdout) >= 5, f"{name}, {method}: no message came back")
    size = int.from_bytes(done.stdout[1:5], "big")
    return done.stdout[5:5 + size]


def all_serve_and_say_what():
    with Suite(scrape_config([])) as suite:
        suite.start(*SERVICES)
        for name in SERVICES:
            # HealthCheckResponse{status: SERVING}
            check_equal(call(suite, name, "grpc.health.v1.Health/Check", b""), b"\x08\x01", f"health of {name}")
            # ServerReflectionRequest{list_services: "*"}
            listed = call(suite, name, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", b"\x3a\x01*")
            check(b"grpc.health.v1.Health" in listed, f"{name} does not list its health service: {listed!r}")
            check(CONTRACTS.get(name, "").encode() in listed, f"{name} does not list its contract: {listed!r}")


main(all_serve_and_say_what)
