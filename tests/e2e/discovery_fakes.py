"""Plays what service discovery asks: a web server of pages, a name server, a
ZooKeeper. All change at will."""

import http.server
import json
import os
import random
import re
import select
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
import urllib.parse

from harness import HOST, Skipped


class Pages:
    """Answers GET, HEAD and POST by path with `pages[path]`: a text, a (type, text), what
    becomes JSON, or a function of the handler that answers itself. Docker's
    version before a path does not count."""

    def __init__(self, pages=None, unix_socket=None):
        outer = self
        self.pages = {} if pages is None else pages

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = re.sub(r"^/v\d+\.\d+/", "/", self.path.partition("?")[0])
                page = outer.pages.get(path)
                if callable(page):
                    page(self)
                    return
                kind, text = page if isinstance(page, tuple) else ("application/json", page)
                body = (text if isinstance(text, str) else json.dumps(text)).encode()
                self.send_response(200 if page is not None else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Api-Version", "1.44")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def do_POST(self):
                self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def address_string(self):
                return "peer"

            def log_message(self, *_):
                pass

        class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        if unix_socket:
            self.server = UnixServer(unix_socket, Handler)
            self.address = unix_socket
        else:
            self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
            self.server.daemon_threads = True
            self.address = f"{HOST}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class NameServer:
    """A name server at port 53 of an address of loopback. `records` maps a
    name with its final dot to [(type, data)]; data is an address, a name, or
    (number, name) for MX and (port, name) for SRV."""

    TYPES = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "AAAA": 28, "SRV": 33}

    def __init__(self, address):
        self.records = {}
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.wake, self.stop = socket.socketpair()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            ready, _, _ = select.select([self.udp, self.wake], [], [])
            if self.wake in ready:
                return
            question, peer = self.udp.recvfrom(4096)
            self.udp.sendto(self.answer(question), peer)

    @staticmethod
    def name(text):
        return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\0"

    def data(self, kind, value):
        if kind in ("A", "AAAA"):
            return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)
        if kind == "MX":
            return struct.pack(">H", value[0]) + self.name(value[1])
        if kind == "SRV":
            return struct.pack(">HHH", 1, 1, value[0]) + self.name(value[1])
        return self.name(value)

    def answer(self, question):
        at, parts = 12, []
        while question[at]:
            parts.append(question[at + 1:at + 1 + question[at]].decode())
            at += question[at] + 1
        asked = struct.unpack(">H", question[at + 1:at + 3])[0]
        known = self.records.get("".join(part + "." for part in parts))
        found = [(self.TYPES[kind], self.data(kind, value)) for kind, value in known or []
                 if self.TYPES[kind] in (asked, self.TYPES["CNAME"])]
        flags = 0x8180 | (0 if known is not None else 3)
        return (question[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + question[12:at + 5] +
                b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for kind, data in found))

    def close(self):
        self.stop.send(b"x")
        self.thread.join()
        for each in (self.udp, self.wake, self.stop):
            each.close()


def own_name_server(suite):
    """A name server that only some processes ask, with what makes the command
    of such a process: it gets a resolv.conf of its own, which needs a mount
    namespace, and the server port 53."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skipped("only root can give processes a resolv.conf of their own")
    address = f"127.53.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
    resolv_conf = suite.write("resolv.conf", f"nameserver {address}\nsearch nowhere.test example.test\n")
    wrapper = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolv_conf]
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode != 0:
        raise Skipped("no mount namespaces here")
    return suite.own(NameServer(address)), lambda command: [*wrapper, *command]



class ZooKeeper:
    """One tree of nodes with data and child watches; `set` and `remove` fire
    them."""

    def __init__(self):
        outer = self
        self.nodes = {"/": b""}
        self.watches = set()  # (kind, path, socket)
        self.lock = threading.Lock()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    self.talk()
                except OSError:
                    pass
                with outer.lock:
                    outer.watches = {w for w in outer.watches if w[2] is not self.request}

            def read(self):
                size = struct.unpack(">i", self.exactly(4))[0]
                return self.exactly(size)

            def exactly(self, size):
                data = b""
                while len(data) < size:
                    got = self.request.recv(size - len(data))
                    if not got:
                        raise OSError("closed")
                    data += got
                return data

            def talk(self):
                hello = self.read()
                timeout = struct.unpack(">i", hello[12:16])[0]
                outer.send(self.request, struct.pack(">iiqi", 0, timeout, 7, 16) + b"p" * 16)
                while True:
                    frame = self.read()
                    xid, operation = struct.unpack(">ii", frame[:8])
                    if operation == -11:
                        return
                    with outer.lock:
                        outer.send(self.request, outer.answer(self.request, xid, operation, frame[8:]))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server((HOST, 0), Handler)
        self.address = f"{HOST}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def send(to, payload):
        to.sendall(struct.pack(">i", len(payload)) + payload)

    @staticmethod
    def text(data):
        data = data if isinstance(data, bytes) else data.encode()
        return struct.pack(">i", len(data)) + data

    def answer(self, peer, xid, operation, body):
        if operation not in (4, 8, 12):  # Pings and what sets up a session.
            return struct.pack(">iqi", xid, 1, 0)
        size = struct.unpack(">i", body[:4])[0]
        path = body[4:4 + size].decode()
        if path not in self.nodes:
            return struct.pack(">iqi", xid, 1, -101)
        self.watches.add(("data" if operation == 4 else "children", path, peer))
        if operation == 4:
            payload = self.text(self.nodes[path])
        else:
            children = [node for node in self.nodes if node != "/" and os.path.dirname(node) == path]
            payload = struct.pack(">i", len(children)) + b"".join(
                self.text(os.path.basename(child)) for child in children)
        return struct.pack(">iqi", xid, 1, 0) + payload + bytes(68)

    def fire(self, kind, path, event):
        for watch in [w for w in self.watches if w[:2] == (kind, path)]:
            self.watches.discard(watch)
            self.send(watch[2], struct.pack(">iqiii", -1, -1, 0, event, 3) + self.text(path))

    def set(self, path, data):
        with self.lock:
            new = path not in self.nodes
            self.nodes[path] = (data if isinstance(data, str) else json.dumps(data)).encode()
            self.fire("children" if new else "data", os.path.dirname(path) if new else path, 4 if new else 3)

    def remove(self, path):
        with self.lock:
            del self.nodes[path]
            self.fire("data", path, 2)
            self.fire("children", path, 2)
            self.fire("children", os.path.dirname(path), 4)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Kubernetes:
    """An API server: lists of collections and watches of what happens to them."""

    KINDS = {
        "pods": ("v1", "Pod"), "services": ("v1", "Service"), "endpoints": ("v1", "Endpoints"),
        "nodes": ("v1", "Node"), "namespaces": ("v1", "Namespace"),
        "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"), "ingresses": ("networking.k8s.io/v1", "Ingress")}

    def __init__(self):
        outer = self
        self.objects = {collection: {} for collection in self.KINDS}
        self.events = []
        self.version = 1
        self.stopping = False
        self.changed = threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path, _, query = self.path.partition("?")
                parts = path.split("/")
                space = parts[-2] if parts[-3] == "namespaces" else None
                params = urllib.parse.parse_qs(query)
                if "sendInitialEvents" in params:
                    self.answer(422, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                      "reason": "Invalid", "code": 422})
                elif "watch" in params:
                    outer.watch(self, parts[-1], space, int(params["resourceVersion"][0]))
                else:
                    self.answer(200, outer.list(parts[-1], space))

            def answer(self, status, content):
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.address = f"{HOST}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, collection, content):
        metadata = content["metadata"]
        key = (metadata.get("namespace"), metadata["name"])
        with self.changed:
            kind = "MODIFIED" if key in self.objects[collection] else "ADDED"
            self.objects[collection][key] = self.happen(collection, kind, content)

    def delete(self, collection, space, name):
        with self.changed:
            self.happen(collection, "DELETED", self.objects[collection].pop((space, name)))

    def happen(self, collection, kind, content):
        self.version += 1
        version, name = self.KINDS[collection]
        content = {"apiVersion": version, "kind": name, **content,
                   "metadata": {**content["metadata"], "resourceVersion": str(self.version)}}
        self.events.append((self.version, collection, kind, content))
        self.changed.notify_all()
        return content

    def list(self, collection, space):
        with self.changed:
            version, name = self.KINDS[collection]
            items = [content for key, content in self.objects[collection].items() if space in (None, key[0])]
            return {"apiVersion": version, "kind": name + "List", "metadata": {"resourceVersion": str(self.version)},
                    "items": items}

    def watch(self, handler, collection, space, seen):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        while not self.stopping:
            with self.changed:
                new = [event for event in self.events if event[0] > seen]
                if not new:
                    self.changed.wait(0.2)
            for version, changed, kind, content in new:
                seen = version
                if changed != collection or space not in (None, content["metadata"].get("namespace")):
                    continue
                line = json.dumps({"type": kind, "object": content}).encode() + b"\n"
                try:
                    handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    handler.wfile.flush()
                except OSError:
                    break
        handler.close_connection = True

    def close(self):
        self.stopping = True
        self.server.shutdown()
        self.server.server_close()
