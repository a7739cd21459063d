"""Programs that run in the suite's pods: Python's standard library only, so that any Python image runs them."""

from __future__ import annotations

WEB = """
import http.server, json, os, socket, threading, urllib.parse

class Talker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        told = {"name": os.environ["HOSTNAME"], "client": self.client_address[0], "path": self.path,
                "port": self.server.server_port, "header": self.headers.get("X-Asked", "")}
        code = 404 if self.path == "/unwell" or os.path.exists("/tmp/unwell") else 200
        body = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        print(self.path, flush=True)

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

def answer_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind((os.environ["POD_IP"], 5300))
        while True:
            _, client = line.recvfrom(100)
            line.sendto(os.environ["HOSTNAME"].encode(), client)

def serve(host, port):
    try:
        Server((host, port), Talker).serve_forever()
    except OSError:  # the loopback of a node may be one for all its pods
        pass

threading.Thread(target=answer_datagrams, daemon=True).start()
threading.Thread(target=serve, args=("127.0.0.1", 8080), daemon=True).start()
threading.Thread(target=Server((os.environ["POD_IP"], 9090), Talker).serve_forever, daemon=True).start()
Server((os.environ["POD_IP"], 8080), Talker).serve_forever()
"""
"""A web server on ports 8080 (on the loopback too, where ports are forwarded to) and 9090 that tells who it is and who asked; a datagram to 5300 is answered with its name.
It answers 404 to `/unwell`, and to everything once `/tmp/unwell` exists."""

ASK = r"""
import json, socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
path = sys.argv[4] if len(sys.argv) > 4 else "/"
header = sys.argv[5] if len(sys.argv) > 5 else "web"
try:
    if kind == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(2)
            line.sendto(b"who?", (host, port))
            print(json.dumps({"name": line.recv(100).decode()}))
        sys.exit()
    with socket.create_connection((host, port), timeout=3) as line:
        line.sendall(f"GET {path} HTTP/1.0\r\nHost: {header}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := line.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split()[1:2] == [b"200"]:
        print(body.decode())
    else:
        print(json.dumps({"error": head.decode().partition("\r\n")[0]}))
except OSError as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""
"""`ASK tcp|udp HOST PORT [PATH [HOST-HEADER]]`: prints what the other side told, or `error`."""

HEALTH = """
import os, socket, struct, threading

def frame(kind, flags, stream, body):
    return struct.pack("!I", len(body))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + body

def text(name, value):
    return b"\\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

def exactly(line, count):
    data = b""
    while len(data) < count:
        part = line.recv(count - len(data))
        if not part:
            raise OSError("gone")
        data += part
    return data

def serve(line):
    try:
        exactly(line, 24)
        line.sendall(frame(4, 0, 0, b""))
        while True:
            head = exactly(line, 9)
            size, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
            exactly(line, size)
            if kind == 4 and not flags & 1:
                line.sendall(frame(4, 1, 0, b""))
            if kind == 6 and not flags & 1:
                line.sendall(frame(6, 1, 0, b"\\0" * 8))
            if kind in (0, 1) and flags & 1:
                well = b"\\x02" if os.path.exists("/tmp/unwell") else b"\\x01"
                line.sendall(
                    frame(1, 4, stream, b"\\x88" + text(b"content-type", b"application/grpc"))
                    + frame(0, 0, stream, struct.pack("!BI", 0, 2) + b"\\x08" + well)
                    + frame(1, 5, stream, text(b"grpc-status", b"0"))
                )
    except OSError:
        line.close()

with socket.create_server((os.environ["POD_IP"], 5000)) as server:
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
"""gRPC's health service on port 5000: HTTP/2 by hand, SERVING until `/tmp/unwell` exists."""

SERVICE_RECORDS = r"""
import json, socket, struct, sys
server = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver"))
labels = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[1].rstrip(".").split(".")) + b"\0"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(5)
    line.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!2H", 33, 1), (server, 53))
    answer = line.recv(4096)

def after_name(at):
    while answer[at]:
        if answer[at] >= 0xC0:
            return at + 2
        at += answer[at] + 1
    return at + 1

at, ports = after_name(12) + 4, []
for _ in range(struct.unpack("!H", answer[6:8])[0]):
    at = after_name(at)
    kind, _, _, size = struct.unpack("!HHIH", answer[at:at + 10])
    if kind == 33:
        ports.append(struct.unpack("!H", answer[at + 14:at + 16])[0])
    at += 10 + size
print(json.dumps(sorted(ports)))
"""
"""`SERVICE_RECORDS NAME`: the ports of a name's SRV records, asked of the pod's own DNS server."""

METRICS_ADAPTER = r"""
import datetime, http.server, json, os, ssl

EXTERNAL, CUSTOM = "external.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2"
OFFERS = {EXTERNAL: [("queue_length", "ExternalMetricValueList")], CUSTOM: [("services/requests", "MetricValueList")]}

def listed(group):
    return [{"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]}
            for name, kind in OFFERS[group]]

def told(parts):
    with open("/tmp/value") as file:
        value = {"value": file.read().strip(),
                 "timestamp": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if len(parts) == 1:
        return {"kind": "ExternalMetricValueList", "apiVersion": EXTERNAL, "metadata": {},
                "items": [{"metricName": parts[0], "metricLabels": {"queue": "jobs"}, **value}]}
    about = {"kind": "Service", "apiVersion": "v1", "name": parts[1]}
    return {"kind": "MetricValueList", "apiVersion": CUSTOM, "metadata": {},
            "items": [{"describedObject": about, "metric": {"name": parts[2]}, **value}]}

class Adapter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        path = self.path.partition("?")[0]
        group = next((each for each in OFFERS if path.startswith("/apis/" + each)), None)
        rest = path.split("/")[4:]
        if group and not rest:
            code, obj = 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group,
                              "resources": listed(group)}
        elif group and rest[0] == "namespaces" and len(rest) > 2:
            code, obj = 200, told(rest[2:])
        else:
            code, obj = 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}
        body = json.dumps(obj).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        print(self.path, flush=True)

class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        line, client = self.socket.accept()
        return tls.wrap_socket(line, server_side=True, do_handshake_on_connect=False), client

tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain("/tls/pem")
Server((os.environ["POD_IP"], 8443), Adapter).serve_forever()
"""
"""An extension API server on port 8443, whose certificate is `/tls/pem`: the value of both of its metrics is what stands in `/tmp/value`."""
