#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""accel serve, as clients see it: every endpoint, every way to be wrong, many at a time, and its end under load.

	serve.py ACCEL MODEL	MODEL: the digits network
"""
import http.client
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

ACCEL, MODEL = sys.argv[1], sys.argv[2]
SEED = int(os.environ.get("SEED", "1"))


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen([ACCEL, "serve", "--listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"on http://127\.0\.0\.1:(\d+)$", line.strip())
        assert found, f"it said {line!r}"
        self.port = int(found.group(1))

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, headers={}, connection=None):
        """Status, headers, bytes."""
        c = connection or self.connect()
        c.request(method, path, body, headers)
        r = c.getresponse()
        data = r.read()
        if not connection:
            c.close()
        return r.status, r.headers, data

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        assert self.process.wait(60) == 0, f"it ended with {self.process.returncode}"


def at_once(count, client):
    """Threads that all run client(), to the end of the last."""
    threads = [threading.Thread(target=client) for _ in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def request(values, **more):
    return json.dumps({"inputs": [{"name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": values}], **more}).encode()


def binary_request(values, output=True):
    head = json.dumps({"parameters": {"binary_data_output": output}, "inputs": [
        {"name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "parameters": {"binary_data_size": 256}}]}).encode()
    return head + struct.pack("<64f", *values), {"Inference-Header-Content-Length": str(len(head))}


def reference(values):
    """What accel run gives: ten floats."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/image.raw", "wb") as file:
            file.write(struct.pack("<64f", *values))
        subprocess.run([ACCEL, "run", MODEL, "--input", f"image={folder}/image.raw", "--save", folder, "--quiet"], check=True)
        with open(f"{folder}/output_0.npy", "rb") as file:
            return struct.unpack("<10f", file.read()[-40:])


def float_of(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def check_pages(server):
    pages = {"/v2": {"name": "accel", "version": "0.1.0", "extensions": ["binary_tensor_data"]},
             "/v2/health/live": {"live": True}, "/v2/health/ready": {"ready": True},
             "/v2/models/digits/ready": {"ready": True}, "/v2/models/digits/versions/1/ready": {"ready": True}}
    for path, expected in pages.items():
        status, headers, data = server.ask("GET", path)
        assert (status, json.loads(data)) == (200, expected), (path, status, data)
        assert headers["Content-Type"] == "application/json", path
    for path in "/v2/models/digits", "/v2/models/digits/versions/1":
        page = json.loads(server.ask("GET", path)[2])
        assert page["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 8, 8]}], page
        assert page["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}], page
        assert page["versions"] == ["1"] and page["name"] == "digits", page


def check_package(values, expected):
    """A package has the sizes that it was compiled for, and nothing that the CPU could take over; a model has both."""
    with tempfile.TemporaryDirectory() as folder:
        package = f"{folder}/packed.axm"
        subprocess.run([ACCEL, "compile", MODEL, "--output", package, "--quiet"], check=True)
        server = Server(package, f"model={MODEL}", "--on-fault", "retry")
        for name, batch in ("packed", 1), ("model", -1):
            page = json.loads(server.ask("GET", f"/v2/models/{name}")[2])
            assert page["inputs"][0]["shape"] == [batch, 1, 8, 8] and page["outputs"][0]["shape"] == [batch, 10], page
            status, _, data = server.ask("POST", f"/v2/models/{name}/infer", request(values))
            assert status == 200 and [float_of(x) for x in json.loads(data)["outputs"][0]["data"]] == list(expected), data
        two = json.dumps({"inputs": [{"name": "image", "shape": [2, 1, 8, 8], "datatype": "FP32", "data": 2 * values}]}).encode()
        assert server.ask("POST", "/v2/models/packed/infer", two)[0] == 400
        status, _, data = server.ask("POST", "/v2/models/model/infer", two)
        assert status == 200 and json.loads(data)["outputs"][0]["shape"] == [2, 10], data
        server.end()
        done = subprocess.run([ACCEL, "serve", package, "--on-fault", "cpu", "--listen", "127.0.0.1:0"], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 3 and "can not run on the CPU" in done.stderr, done
    # A model is compiled for both.
    server = Server(f"digits={MODEL}", "--on-fault", "cpu")
    status, _, data = server.ask("POST", "/v2/models/digits/infer", request(values))
    assert status == 200, data
    server.end()


def check_inference(server, values, expected):
    for path in "/v2/models/digits/infer", "/v2/models/digits/versions/1/infer", "/v2/models/other/infer":
        status, _, data = server.ask("POST", path, request(values, id="é1"))
        answer = json.loads(data)
        assert status == 200, data
        assert answer["id"] == "é1" and answer["outputs"][0]["shape"] == [1, 10], answer
        assert [float_of(x) for x in answer["outputs"][0]["data"]] == list(expected), (answer, expected)
    nested = [[[values[8 * i:8 * i + 8] for i in range(8)]]]
    assert server.ask("POST", "/v2/models/digits/infer", request(nested))[0] == 200
    body, headers = binary_request(values)
    status, headers, data = server.ask("POST", "/v2/models/digits/infer", body, headers)
    length = int(headers["Inference-Header-Content-Length"])
    assert status == 200 and headers["Content-Type"] == "application/octet-stream", (status, headers)
    assert struct.unpack("<10f", data[length:]) == expected
    assert json.loads(data[:length])["outputs"][0]["parameters"] == {"binary_data_size": 40}
    body, headers = binary_request(values, output=False)
    status, headers, data = server.ask("POST", "/v2/models/digits/infer", body, headers)
    assert [float_of(x) for x in json.loads(data)["outputs"][0]["data"]] == list(expected)
    # A body in chunks, whose length nobody said before.
    body = request(values)
    status, _, data = server.ask("POST", "/v2/models/digits/infer", iter([body[:100], body[100:]]))
    assert status == 200, data


def check_errors(server, values):
    infer, good = "/v2/models/digits/infer", request(values)
    cases = [
        ("GET", "/", None, {}, 404, "'/'"), ("GET", "/v2x", None, {}, 404, "/v2x"), ("GET", "/v2/models/", None, {}, 404, "no model ''"),
        ("GET", "/v2/models/none", None, {}, 404, "'none'"), ("POST", "/v2/models/none/infer", good, {}, 404, "'none'"),
        ("GET", "/v2/models/digits/versions/2", None, {}, 404, "version '1'"), ("GET", "/v2/models/digits/what", None, {}, 404, "what"),
        ("GET", infer, None, {}, 405, "GET"), ("PUT", infer, good, {}, 405, "PUT"), ("POST", "/v2", b"{}", {}, 405, "POST"),
        ("DELETE", "/metrics", None, {}, 405, "DELETE"),
        ("POST", infer, b"", {}, 400, "JSON"), ("POST", infer, b"\0\xff{", {}, 400, "JSON"), ("POST", infer, good[:-1], {}, 400, "too early"),
        ("POST", infer, good, {"Inference-Header-Content-Length": "-1"}, 400, "Inference-Header-Content-Length"),
        ("POST", infer, good, {"Inference-Header-Content-Length": "99999999999999999999"}, 400, "Inference-Header-Content-Length"),
        ("POST", infer, good, {"Inference-Header-Content-Length": str(len(good) + 1)}, 400, "Inference-Header-Content-Length"),
        ("POST", infer, good, {"Inference-Header-Content-Length": "7"}, 400, "JSON"),
        ("POST", infer, good, {"Content-Encoding": "gzip"}, 415, "gzip"),
        ("POST", infer, request(values[1:]), {}, 400, "63 elements"),
        ("POST", infer, request(values).replace(b"[1, 1, 8, 8]", b"[1, 1, 4, 16]"), {}, 400, "image"),
        ("POST", infer, request(values).replace(b"FP32", b"FP64"), {}, 400, "FP64"),
        ("POST", infer, request(values, outputs=[{"name": "none"}]), {}, 400, "'none'"),
        ("POST", infer, b" " * (3 << 20), {}, 413, "bytes"),
    ]
    c = server.connect()
    for method, path, body, headers, status, words in cases:
        got, headers, data = server.ask(method, path, body, headers, c)
        assert got == status and words in json.loads(data)["error"], (method, path, status, words, got, data)
        assert (status == 405) == ("Allow" in headers), headers
    c.close()
    # Chunks without an end: answered when they end, cut when they do not.
    got, _, data = server.ask("POST", infer, iter([b" " * 65536] * 40))
    assert got == 413, (got, data)
    try:
        got = server.ask("POST", infer, iter([b" " * 65536] * 1000))[0]
        assert False, f"a body of 64 MB was read, and answered with {got}"
    except OSError:
        pass
    except http.client.HTTPException:
        pass
    # Far too long, and asked before it is sent: answered at once.
    with socket.create_connection(("127.0.0.1", server.port), 60) as s:
        s.sendall(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 413"), "an endless body"
    with socket.create_connection(("127.0.0.1", server.port), 60) as s:
        s.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 32768)
        assert s.recv(100).startswith(b"HTTP/1.1 431"), "an endless header"


def check_random_bytes(server, values):
    """Good requests with bytes changed: an answer of the protocol, and the server stays."""
    pick = random.Random(SEED)
    body, headers = binary_request(values)
    for i in range(300):
        wrong = bytearray(body)
        for _ in range(pick.randrange(1, 5)):
            wrong[pick.randrange(len(wrong) - 256)] = pick.randrange(256)
        status, _, data = server.ask("POST", "/v2/models/digits/infer", bytes(wrong), headers)
        assert status in (200, 400), (SEED, i, status, data)
        assert status == 200 or json.loads(data)["error"], (SEED, i, data)
    for i in range(50):
        with socket.create_connection(("127.0.0.1", server.port), 60) as s:
            s.sendall(bytes(pick.randrange(256) for _ in range(200)) + b"\r\n\r\n")
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass


def check_concurrent(server, values, expected):
    wrong = []

    def client():
        c = server.connect()
        for _ in range(25):
            body, headers = binary_request(values)
            status, headers, data = server.ask("POST", "/v2/models/digits/infer", body, headers, c)
            if status != 200 or struct.unpack("<10f", data[int(headers["Inference-Header-Content-Length"]):]) != expected:
                wrong.append(data)
        c.close()

    at_once(8, client)
    assert not wrong, wrong[0]


def metrics_of(server):
    status, headers, data = server.ask("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
    found = {}
    for line in data.decode().splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) accel_\w+ .+", line), line
            continue
        match = re.fullmatch(r'(accel_\w+(?:\{[^}]*\})?) ([0-9.e+-]+)', line)
        assert match, line
        found[match.group(1)] = float(match.group(2))
    return found


def check_metrics(server, values):
    before = metrics_of(server)
    server.ask("POST", "/v2/models/digits/infer", request(values))
    server.ask("POST", "/v2/models/digits/infer", b"x")
    after = metrics_of(server)
    grown = {key: after[key] - before.get(key, 0) for key in after}
    assert grown['accel_requests_total{model="digits",code="200"}'] == 1, grown
    assert grown['accel_requests_total{model="digits",code="400"}'] == 1, grown
    assert grown['accel_requests_total{model="",code="200"}'] == 1, grown
    assert grown['accel_infer_duration_seconds_count{model="digits"}'] == 1, grown
    assert grown['accel_infer_duration_seconds_bucket{model="digits",le="+Inf"}'] == 1, grown
    assert grown['accel_infer_duration_seconds_sum{model="digits"}'] > 0, grown
    assert grown['accel_device_cycles_total{model="digits"}'] > 100, grown
    assert after["accel_infer_in_flight"] == 0, after
    buckets = [after[key] for key in after if key.startswith('accel_infer_duration_seconds_bucket{model="digits"')]
    assert buckets == sorted(buckets) and buckets[-1] == after['accel_infer_duration_seconds_count{model="digits"}'], buckets


def check_batches(values, expected):
    """Joined, the same answers for fewer cycles: every batch is full, as there are always as many clients as it has rows."""
    def cycles_of(*options):
        server = Server(MODEL, *options)
        check_concurrent(server, values, expected)
        found = metrics_of(server)['accel_device_cycles_total{model="digits"}']
        server.end()
        return found

    assert cycles_of("--batch", "8:10000000") < 0.8 * cycles_of()


def check_full(values):
    """With one request at a time, of many that come together some are sent away, with the time to come again; none gets lost."""
    server = Server(MODEL, "--max-requests", "1")
    answers, lock = {200: 0, 503: 0}, threading.Lock()
    start = threading.Barrier(4)

    def client():
        c = server.connect()
        start.wait()
        for _ in range(2000):
            status, headers, data = server.ask("POST", "/v2/models/digits/infer", request(values), {}, c)
            if status == 503:
                assert headers["Retry-After"] == "1" and "under way" in json.loads(data)["error"], (headers, data)
            with lock:
                answers[status] += 1
                if answers[200] and answers[503]:
                    break
        c.close()

    at_once(4, client)
    assert answers[200] and answers[503], answers
    server.end(signal.SIGINT)


def check_stop(values, expected, number):
    """Each request on a connection that was taken is answered, whatever it did when the signal came."""
    server = Server(f"digits={MODEL}")
    answered, lost, running = [0], [], threading.Semaphore(0)

    def client():
        told = False
        while True:
            c = server.connect()
            try:
                c.connect()
            except ConnectionRefusedError:
                return  # the end, and nothing was asked
            closing = False
            while not closing:
                try:
                    body, headers = binary_request(values)
                    status, headers, data = server.ask("POST", "/v2/models/digits/infer", body, headers, c)
                except (OSError, http.client.HTTPException) as e:
                    lost.append(repr(e))
                    return
                if status != 200 or struct.unpack("<10f", data[int(headers["Inference-Header-Content-Length"]):]) != expected:
                    lost.append(data)
                closing = headers.get("Connection") == "close"
                answered[0] += 1
                if not told:
                    told = True
                    running.release()
            c.close()

    threads = [threading.Thread(target=client) for _ in range(8)]
    idle = server.connect()
    idle.connect()
    for t in threads:
        t.start()
    for _ in threads:
        running.acquire()
    server.end(number)
    for t in threads:
        t.join()
    assert not lost, lost
    assert answered[0] >= len(threads)


def check_usage():
    def run(*arguments):
        done = subprocess.run([ACCEL, "serve", *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, text = run(MODEL, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        assert code == 2 and "in use" in text, (code, text)
    for arguments, words in ((("none.onnx", "--listen", "127.0.0.1:0"), "none.onnx"), ((), "which model"),
                             ((MODEL, MODEL, "--listen", "127.0.0.1:0"), "two models are called"),
                             ((MODEL, "--listen", "8000"), "HOST:PORT"), ((MODEL, "--listen", "[]:1"), "HOST:PORT"),
                             ((MODEL, "--listen", "127.0.0.1:x"), "127.0.0.1:x"), (("=" + MODEL,), "no name"),
                             ((MODEL, "--max-requests", "0"), "--max-requests"), ((MODEL, "--on-fault", "pray"), "--on-fault"), ((MODEL, "--max-body", "-1"), "--max-body"),
                             ((MODEL, "--batch", "1"), "--batch"), ((MODEL, "--batch", "65"), "--batch"), ((MODEL, "--batch", "8:x"), "--batch")):
        code, text = run(*arguments)
        assert code == 2 and words in text, (arguments, code, text)
    code, text = run(MODEL, "--listen", "127.0.0.1:0", "--device", "/dev/accel/none")
    assert code in (2, 4) and "/dev/accel/none" in text, (code, text)


def main():
    pick = random.Random(SEED)
    values = [float_of(pick.uniform(0, 16)) for _ in range(64)]
    expected = reference(values)
    server = Server(MODEL, f"other={MODEL}", "--max-body", "1")
    check_pages(server)
    check_inference(server, values, expected)
    check_errors(server, values)
    check_random_bytes(server, values)
    check_concurrent(server, values, expected)
    check_metrics(server, values)
    server.end()
    check_package(values, expected)
    check_batches(values, expected)
    check_full(values)
    for number in signal.SIGTERM, signal.SIGINT:
        check_stop(values, expected, number)
    check_usage()


main()
