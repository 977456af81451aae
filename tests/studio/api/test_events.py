"""The event stream over HTTP, as a browser hears it from a real server."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


SERVER = """
import sys
from pathlib import Path
import uvicorn
from motionloom.studio.app import create_app
from motionloom.studio.previews import PreviewService
from motionloom.studio.settings import StudioSettings
PreviewService.warm_up = lambda self: None
settings = StudioSettings(Path(sys.argv[1]), port=int(sys.argv[2]), devices=())
uvicorn.run(create_app(settings), host="127.0.0.1", port=settings.port, log_level="warning")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(port, process) of a server without workers."""
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(tmp_path_factory.mktemp("studio")), str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.05)
    yield port, process
    process.kill()
    process.wait()


class Stream:
    """An open event stream."""

    def __init__(self, port, query="", **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.connection.request("GET", f"/api/v1/events{query}", headers=headers)
        self.answer = self.connection.getresponse()

    def next(self):
        """The next event as its fields, its data read."""
        fields = {}
        while True:
            line = self.answer.readline().decode().rstrip("\r\n")
            if line.startswith(":"):
                continue
            if not line:
                if fields:
                    return {**fields, "data": json.loads(fields["data"])}
                if self.answer.isclosed() or self.answer.fp is None:
                    return None
                continue
            name, _, value = line.partition(": ")
            fields[name] = value

    def close(self):
        self.connection.close()


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, f"/api/v1/{path}", body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content) if content else None


@pytest.fixture(scope="module")
def jobs(server, photograph):
    """Ids of three jobs that wait."""
    port, _ = server
    edge = "xxxx"
    body = (
        (
            f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="cat.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + photograph
        + f"\r\n--{edge}--\r\n".encode()
    )
    status, project = ask(port, "POST", "projects", body, {"Content-Type": f"multipart/form-data; boundary={edge}"})
    assert status == 201, project
    wanted = json.dumps({"project": project["id"], "settings": {"model": "warp", "count": 3}})
    status, made = ask(port, "POST", "jobs", wanted, {"Content-Type": "application/json"})
    assert status == 201, made
    return [job["id"] for job in made["jobs"]]


@pytest.mark.slow
def test_lines_are_events_of_their_kind_with_their_number(server, jobs):
    port, _ = server
    stream = Stream(port)
    assert stream.answer.status == 200
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert "no-store" in stream.answer.headers["cache-control"]
    first = stream.next()
    assert (first["event"], first["data"]["kind"], first["data"]["workers"]) == ("workers", "workers", [])
    ask(port, "POST", f"jobs/{jobs[0]}/cancel")
    told = stream.next()
    assert (told["event"], told["data"]["job"]["id"], told["data"]["job"]["state"]) == ("job", jobs[0], "cancelled")
    assert int(told["id"]) == told["data"]["id"] > first["data"]["id"]
    stream.close()


@pytest.mark.parametrize("how", ["header", "query"])
def test_who_comes_back_hears_what_it_missed(server, jobs, how):
    port, _ = server
    stream = Stream(port)
    last = stream.next()["data"]["id"]
    stream.close()
    ask(port, "POST", f"jobs/{jobs[1]}/move", "{}", {"Content-Type": "application/json"})
    again = Stream(port, **{"Last-Event-ID": str(last)}) if how == "header" else Stream(port, f"?after={last}")
    assert again.next()["event"] == "workers"
    missed = again.next()
    assert (missed["event"], missed["data"]["job"]["id"]) == ("job", jobs[1])
    again.close()


def test_nonsense_is_refused(server):
    port, _ = server
    assert ask(port, "GET", "events?after=-1")[0] == 400
    assert ask(port, "GET", "events?after=x")[0] == 400
    assert ask(port, "GET", "events", headers={"Last-Event-ID": "x"})[0] == 400


def test_many_listeners_hear_within_a_second(server, jobs):
    port, _ = server
    streams = [Stream(port) for _ in range(30)]
    for stream in streams:
        assert stream.next()["event"] == "workers"
    started = time.perf_counter()
    ask(port, "POST", f"jobs/{jobs[2]}/cancel")
    for stream in streams:
        assert stream.next()["data"]["job"]["id"] == jobs[2]
    assert time.perf_counter() - started < 5
    for stream in streams:
        stream.close()


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_ctrl_c_ends_a_server_with_open_streams_at_once(server):
    """The last test: the server is gone after it."""
    port, process = server
    streams = [Stream(port) for _ in range(3)]
    for stream in streams:
        stream.next()
    heard = []
    readers = [threading.Thread(target=lambda each=stream: heard.append(each.answer.read())) for stream in streams]
    for reader in readers:
        reader.start()
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(10)
    assert time.monotonic() - asked < 4
    for reader in readers:
        reader.join(5)
    assert len(heard) == 3  # every stream ended as an answer should, not in its middle
    assert not re.search("Traceback|without completing", process.stderr.read())
