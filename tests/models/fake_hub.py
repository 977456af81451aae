"""A model hub on 127.0.0.1 that speaks as much of the hub's protocol as `models.fetch` uses."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 4096
"""Files from this size on are listed with a SHA-256, as files of git LFS are."""


class FakeHub:
    """Attributes of note: `requests`, all (path, Range header) seen; `cut`, path -> bytes after which the connection is
    cut, once each; `lies`, path -> checksum to list instead of the true one; `gated`, repositories that want a login;
    `broken`, path -> status to answer; `ranges`, whether Range is honoured;
    `silence`, seconds of nothing before a cut.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.cut: dict[str, int] = {}
        self.lies: dict[str, str] = {}
        self.broken: dict[str, int] = {}
        self.gated: set[str] = set()
        self.ranges = True
        self.silence = 0.0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def resolved(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a file's content, in order."""
        return [given for asked, given in self.requests if asked.endswith(f"/resolve/{COMMIT}/{path}")]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        self.requests.append((path, request.headers.get("Range")))
        if listed := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            self._list(request, listed[1])
        elif asked := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", path):
            self._send_file(request, asked[1], asked[2])
        else:
            _reply(request, 404, b"{}")

    def _list(self, request: BaseHTTPRequestHandler, repo: str) -> None:
        if repo in self.gated:
            _reply(request, 403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {repo} is gated"})
            return
        if repo not in self.files:
            _reply(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        siblings = []
        for path, content in self.files[repo].items():
            entry: dict[str, object] = {"rfilename": path, "size": len(content)}
            entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if len(content) >= LARGE:
                digest = self.lies.get(path) or hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        body = {"id": repo, "modelId": repo, "sha": COMMIT, "private": False, "siblings": siblings, "tags": []}
        _reply(request, 200, json.dumps(body).encode())

    def _send_file(self, request: BaseHTTPRequestHandler, repo: str, path: str) -> None:
        if path in self.broken:
            _reply(request, self.broken[path], b"{}")
            return
        content = self.files[repo][path]
        start = 0
        headers: dict[str, str] = {}
        if self.ranges and (given := request.headers.get("Range")):
            start = int(given.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        stop = self.cut.pop(path, None)
        request.send_response(206 if headers else 200)
        for name, value in {**headers, "Content-Length": str(len(body)), "ETag": '"x"'}.items():
            request.send_header(name, value)
        request.end_headers()
        if stop is None:
            request.wfile.write(body)
        else:
            request.wfile.write(body[:stop])
            request.wfile.flush()
            time.sleep(self.silence)
            request.connection.close()
            request.close_connection = True


def _reply(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    request.send_response(status)
    for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
