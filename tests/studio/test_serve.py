"""Starting and ending the server, through the command line as people do."""

import dataclasses
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

from motionloom.errors import InputError
from motionloom.studio import serve
from motionloom.studio.settings import StudioSettings


class Server:
    """A server in a process of its own."""

    def __init__(self, data, *arguments, env=None):
        command = [sys.executable, "-m", "motionloom", "studio", "--data-dir", str(data), "--no-open", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        self.line = self.process.stdout.readline()
        found = re.search(r"http://(\[?[\w.:]+?\]?):(\d+)/(?:\?token=(\S+))?", self.line)
        assert found, self.line + self.process.stderr.read()
        self.port, self.token = int(found[2]), found[3]

    def get(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers

    def end(self, number=signal.SIGINT):
        started = time.monotonic()
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=30)
        return self.process.returncode, time.monotonic() - started, output, errors


@pytest.fixture
def start(tmp_path):
    started = []

    def make(*arguments, data=None, **options):
        started.append(Server(data or tmp_path / "data", *arguments, **options))
        return started[-1]

    yield make
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


@pytest.mark.slow
def test_it_says_where_it_is_answers_and_ends_cleanly_with_streams_open(start, tmp_path):
    server = start("--no-worker")
    assert str(tmp_path / "data") in server.line
    status, body, headers = server.get("/api/v1/server")
    assert status == 200
    assert json.loads(body)["workers"] == []
    assert headers["server"] is None
    stream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    stream.request("GET", "/api/v1/events")
    answer = stream.getresponse()
    assert b"workers" in b"".join(answer.readline() for _ in range(3))
    code, seconds, output, errors = server.end()
    assert code == 0
    assert "ended; everything is saved" in output
    assert "Traceback" not in errors
    assert seconds < 10  # about half a second; the bound leaves room for a busy machine


@pytest.mark.slow
def test_a_polite_kill_ends_it_too_and_its_workers(start):
    server = start("--device", "cpu")
    deadline = time.monotonic() + 60
    while not json.loads(server.get("/api/v1/server")[1])["workers"][0]["alive"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    import psutil

    workers = psutil.Process(server.process.pid).children(recursive=True)
    assert workers
    assert server.end(signal.SIGTERM)[0] == 0
    assert psutil.wait_procs(workers, timeout=10)[1] == []


@pytest.mark.slow
def test_a_server_for_others_makes_a_token_and_keeps_it(start, tmp_path):
    server = start("--no-worker", "--host", "0.0.0.0")
    assert server.token
    assert server.get("/api/v1/server")[0] == 401
    assert server.get("/api/v1/server", Authorization=f"Bearer {server.token}")[0] == 200
    status, _, headers = server.get(f"/?token={server.token}")
    assert status == 303
    cookie = headers["set-cookie"].partition(";")[0]
    assert server.get("/api/v1/server", Cookie=cookie)[0] == 200
    log = tmp_path / "data" / "logs" / "server.log"
    assert server.token not in (log.read_text() if log.exists() else "")
    token = server.token
    server.end()
    assert start("--no-worker", "--host", "0.0.0.0").token == token


@pytest.mark.slow
def test_the_token_of_the_environment_is_used(start):
    server = start("--no-worker", env={"MOTIONLOOM_STUDIO_TOKEN": "from-the-environment"})
    assert server.token == "from-the-environment"
    assert server.get("/api/v1/server")[0] == 401


@pytest.mark.slow
def test_names_that_are_announced_need_a_token_as_a_proxy_may_stand_behind_them(start):
    server = start("--no-worker", "--allow-host", "studio.example.org")
    assert server.token
    answer = server.get("/api/v1/server", Host="studio.example.org", Authorization=f"Bearer {server.token}")
    assert answer[0] == 200


@pytest.mark.slow
def test_headers_that_never_end_are_given_up(tmp_path):
    """A connection that dribbles holds no place for ever; one that waits between requests is ended as well."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom motionloom.studio import serve\n"
        "from motionloom.studio.settings import StudioSettings\nserve.HEADER_SECONDS = 0.6\n"
        "serve.serve(StudioSettings(Path(sys.argv[1]), devices=()), on_ready=lambda used, url: print(url, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "d")], stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
        for first in (b"", b"GET /api/v1/server HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                if first:
                    connection.sendall(first)
                    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
                ended = threading.Event()

                def dribble(connection=connection, ended=ended):
                    try:
                        for byte in b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 1_000:
                            connection.sendall(bytes([byte]))
                            if ended.wait(0.1):
                                return
                    except OSError:
                        pass

                thread = threading.Thread(target=dribble)
                thread.start()
                started = time.monotonic()
                while True:
                    try:
                        if not connection.recv(65_536):
                            break
                    except ConnectionError:
                        break
                assert time.monotonic() - started < 10
                ended.set()
                thread.join()
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_named_or_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}: something else listens at 127.0.0.1:{port} already"):
            serve.listen("127.0.0.1", port)


def test_without_a_wish_the_next_free_port_is_taken(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(serve, "DEFAULT_PORT", taken.getsockname()[1])
        with serve.listen("127.0.0.1", None) as found:
            assert 0 < found.getsockname()[1] != taken.getsockname()[1]


def test_addresses_that_are_not_ours_are_refused():
    with pytest.raises(InputError, match="--host"):
        serve.listen("203.0.113.7", None)
    with pytest.raises(InputError, match="--host: found 'no such host!'"):
        serve.listen("no such host!", 80)


def test_the_address_for_the_browser(tmp_path, monkeypatch):
    monkeypatch.setattr(serve.socket, "gethostname", lambda: "box")
    settings = StudioSettings(tmp_path, port=80)
    assert serve.with_token(settings) == "http://127.0.0.1:80/"
    assert serve.address(dataclasses.replace(settings, host="::1")) == "http://[::1]:80/"
    assert serve.with_token(dataclasses.replace(settings, host="0.0.0.0", token="a+b")) == "http://box:80/?token=a%2Bb"


@pytest.mark.slow
def test_threads_that_are_busy_do_not_keep_the_process():
    script = (
        "import threading, time\nfrom motionloom.studio.serve import leave\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\nprint('said')\nleave()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout == "said\n"


@pytest.mark.slow
def test_starting_loads_no_heavy_library():
    script = (
        "import sys, tempfile, pathlib\nfrom motionloom.studio.settings import StudioSettings\n"
        "import motionloom.studio.serve\nfrom motionloom.studio.app import create_app\n"
        "create_app(StudioSettings(pathlib.Path(tempfile.mkdtemp()), devices=()))\n"
        "print(*[name for name in ('torch', 'cv2', 'diffusers', 'av', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
