"""Bodies from outside: bounded in size, time, kind and depth, before anything reads them."""

import asyncio
import dataclasses
import json

import pytest
from starlette.testclient import TestClient

from motionloom.studio.app import create_app
from motionloom.studio.json_bounds import nesting
from motionloom.studio.problems import Refused
from motionloom.studio.settings import Limits
from motionloom.studio.uploads import BoundedBodies

BASE = "http://127.0.0.1:7860/api/v1/"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("motionloom.studio.uploads._DRAIN_SECONDS", 0.05)


@pytest.fixture
def small(settings):
    """A client of a server that takes little."""
    limits = Limits(max_upload_bytes=20_000, max_json_bytes=5_000, max_json_depth=20, max_json_values=500)
    app = create_app(dataclasses.replace(settings, limits=limits))
    return TestClient(app, base_url=BASE, raise_server_exceptions=False)


def run(limits, headers, messages):
    """What the middleware answers, and what reached the app, for a body that comes in pieces."""
    reached, sent = [], []

    async def app(scope, receive, send):
        while True:
            message = await receive()
            reached.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    coming = iter(messages)

    async def receive():
        message = next(coming, None)
        if message is None:
            await asyncio.sleep(3_600)
        return message

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/x", "headers": headers, "query_string": b""}
    asyncio.run(BoundedBodies(app, limits)(scope, receive, send))
    status = sent[0]["status"]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return status, (json.loads(body)["error"]["code"] if body else None), reached


def pieces(count, size):
    return [{"type": "http.request", "body": b" " * size, "more_body": k < count - 1} for k in range(count)]


FORM = [(b"content-type", b"multipart/form-data; boundary=x"), (b"transfer-encoding", b"chunked")]
JSON = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]


def test_bodies_are_counted_while_they_arrive_whatever_was_announced(small):
    limits = Limits(max_upload_bytes=0, max_json_bytes=50_000)
    assert run(limits, JSON, pieces(60, 1_000))[:2] == (413, "too_large")
    status, _, reached = run(Limits(max_json_bytes=60_000), JSON, [*pieces(59, 1_000)[:-1], *pieces(1, 2)])
    assert (status, len(b"".join(reached))) == (200, 58_002)


def test_a_form_that_grows_too_large_stops_what_reads_it(monkeypatch):
    monkeypatch.setattr("motionloom.studio.uploads._FORM_EXTRA", 0)
    with pytest.raises(Refused, match="larger than"):
        run(Limits(max_upload_bytes=50_000), FORM, pieces(60, 1_000))


def test_too_much_announced_is_refused_before_it_is_sent(small, photograph):
    answer = small.post("projects", files={"image": ("a.png", photograph + bytes(2_000_000))})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    answer = small.post("jobs", content=b" " * 6_000, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_too_much_sent_in_pieces_is_refused_by_the_route_with_the_reason(small, monkeypatch):
    monkeypatch.setattr("motionloom.studio.uploads._FORM_EXTRA", 0)

    def body():
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        for _ in range(100):
            yield bytes(1_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = small.post("projects", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert "larger than" in answer.json()["error"]["message"]


def test_bodies_that_come_too_slowly_are_given_up():
    limits = Limits(idle_seconds=0.05)
    assert run(limits, JSON, pieces(3, 10)[:2])[:2] == (408, "bad_request")


def test_a_client_that_leaves_is_no_error_of_the_server():
    assert run(Limits(), JSON, [*pieces(3, 10)[:1], {"type": "http.disconnect"}])[:2] == (400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [b"[" * 400, b'{"a":' * 40 + b"1" + b"}" * 40, b"[" + b"1," * 900 + b"1]"],
    ids=["lists", "objects", "values"],
)
def test_json_that_is_nested_too_deeply_or_holds_too_much_is_refused(small, body):
    answer = small.post("jobs", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_json_that_is_none_is_told_so(small):
    for body in (b"{", b"", b"\xff\xfe", b"nul", b'{"a": NaN}', "{}".encode("utf-16"), "[]".encode("utf-32-le")):
        answer = small.post("jobs", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request"), body


@pytest.mark.parametrize(
    ("text", "depth"),
    [("[[1], {}]", 2), ('{"[[[": "]]]{{{"}', 1), (r'["\"[[[["]', 1), (r'["\\", [[]]]', 3), ("[" * 9 + "]" * 9, 9)],
)
def test_nesting_is_counted_outside_of_texts(text, depth):
    assert nesting(f"[{text}{', []' * 50}]".encode(), 40) == depth + 1
    assert nesting(text.encode(), 40) == 0  # so few brackets cannot be nested too deeply


def test_a_real_motion_passes(small, client, project):
    from motionloom.examples_data import example
    from motionloom.tracks.motion import Motion

    motion = json.loads(Motion.load(example("coffee")[1]).dumps())
    body = {"base_version": 1, "motion": motion, "settings": {}}
    assert client.put(f"projects/{project['id']}", json=body).status_code == 200
