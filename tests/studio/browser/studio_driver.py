"""A studio server as a process, and its page driven through what people and screen readers see of it.

Used by the tests here and by ``benchmarks/studio.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a sandbox, as in containers; the pages are our own.
CHROMIUM_FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required")
# Whatever a page says about itself going wrong reaches the console, where the tests look.
WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


def find_chromium() -> str | None:
    """``$CHROMIUM``, one on the PATH, or the one Playwright installed; None without any."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    for name in CHROMIUM_NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    homes = [Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")]
    homes.append(Path.home() / "Library" / "Caches" / "ms-playwright")
    for home in homes:
        for pattern in ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*"):
            for path in sorted(home.glob(pattern), reverse=True):
                return str(path)
    return None


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """``motionloom studio`` over a data folder, on the loopback."""

    def __init__(
        self,
        data: Path,
        *,
        devices: Sequence[str] = ("cpu",),
        environment: dict[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self.start_seconds = 0.0
        self._words = [word for device in devices for word in ("--device", device)] or ["--no-worker"]
        self._words += flags
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Returns when it answers."""
        command = [sys.executable, "-c", "from motionloom.cli import main; main()", "studio", "--no-open"]
        command += ["--port", str(self.port), "--data-dir", str(self.data), *self._words]
        begun = time.perf_counter()
        with self.log.open("ab") as log:
            # A session of its own, so that the whole family can be looked for afterwards.
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"the studio ended at once:\n{self.log.read_text()[-3000:]}")
            try:
                self.get("/server")
                break
            except urllib.error.HTTPError:
                break  # It answers; it wants its token.
            except OSError:
                pass
            if time.perf_counter() - begun > 60:
                raise TimeoutError(f"the studio does not answer:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)
        self.start_seconds = time.perf_counter() - begun
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """Its worker processes."""
        import psutil

        found: list[int] = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "motionloom.studio.jobs.worker" in " ".join(process.cmdline()):
                    found.append(process.pid)
        return found

    def stop(self) -> float:
        """As Ctrl-C does; returns the seconds it took."""
        if self._process is None:
            return 0.0
        begun = time.perf_counter()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        return time.perf_counter() - begun

    def kill(self) -> None:
        """As a power cut does, for the server alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ------------------------------------------------------------------------------------------------- HTTP
    def get(self, path: str) -> Any:
        """JSON of ``/api/v1`` + path."""
        return json.loads(self.request("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        return json.loads(self.request("POST", path, body))

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """Raises ``urllib.error.HTTPError`` with what the server said as its reason."""
        data = None if body is None and method == "GET" else json.dumps({} if body is None else body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            error.msg = f"{error.msg}: {error.read().decode(errors='replace')[:500]}"
            raise

    def new_project(self, example: str = "cat") -> dict[str, Any]:
        """A project of an example of the package."""
        return self.post(f"/examples/{example}")

    def jobs(self) -> list[dict[str, Any]]:
        return self.get("/jobs")["jobs"]

    def results(self) -> list[dict[str, Any]]:
        return self.get("/results")["results"]


def until(check: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """The first true value of ``check``."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(what or f"not within {seconds:g} s: {check}")
        time.sleep(0.05)
