"""The Python client against a real server, in a thread and without workers."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from motionloom.errors import InputError
from motionloom.studio.client import StudioClient
from motionloom.studio.connection import StudioError
from motionloom.studio.schemas import GenerationSettings
from motionloom.tracks.motion import Motion

MOTION = Motion.parse(
    {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 64, "height": 48},
        "num_frames": 9,
        "fps": 8,
        "instructions": [{"kind": "path", "id": "leaf", "points": [[10, 10], [40, 30]]}],
    }
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server on a free port; yields its port and data folder."""
    import uvicorn

    from motionloom.studio.app import create_app
    from motionloom.studio.settings import StudioSettings

    data = tmp_path_factory.mktemp("studio")
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    settings = StudioSettings(data, port=port, devices=(), static=data / "no-page", token="a token of this test")
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield port
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def client(running, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_STUDIO_TOKEN", "a token of this test")
    # A proxy of the environment is not asked about this machine.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    return StudioClient(f"http://127.0.0.1:{running}/")


@pytest.fixture
def photograph():
    stream = io.BytesIO()
    Image.radial_gradient("L").resize((64, 48)).convert("RGB").save(stream, format="PNG")
    return stream.getvalue()


def test_a_project_is_made_written_with_its_version_and_found_again(client, photograph, tmp_path):
    (tmp_path / 'leaf "1".png').write_bytes(photograph)
    project = client.create_project(tmp_path / 'leaf "1".png', MOTION)
    assert Motion.parse(project.motion) == MOTION
    written = client.write_project(project, name="Blatt 🍂", settings=GenerationSettings(model="warp", seed=7))
    assert (written.version, written.name, written.settings.seed) == (project.version + 1, "Blatt 🍂", 7)
    with pytest.raises(StudioError) as caught:
        client.write_project(project, name="too late")
    assert (caught.value.code, caught.value.status, caught.value.details["version"]) == ("conflict", 409, 2)
    assert client.write_project(project, name="mine", overwrite=True).name == "mine"
    assert [each.version for each in client.versions(project.id)][:1] == [3]
    assert client.restore_version(project.id, 2).name == "Blatt 🍂"
    assert project.id in {each.id for each in client.projects()}
    copy = client.duplicate_project(project.id)
    client.delete_project(copy.id)
    assert client.restore_project(copy.id).motion == written.motion
    client.delete_project(copy.id)
    assert [(each.id, each.name, each.restorable) for each in client.trash().projects] == [(copy.id, copy.name, True)]
    client.empty_trash()
    assert client.trash().projects == []
    with pytest.raises(StudioError, match="none in the trash"):
        client.restore_project(copy.id)


def test_what_there_is_is_typed(client):
    assert client.server().api == "v1"
    assert {each.name for each in client.models()} >= {"warp", "nano", "ati-14b"}
    assert "ati" in {each.name for each in client.formats()}
    assert {each.name for each in client.examples()} >= {"cat", "rocket"}
    assert client.loras() == []


def test_motions_come_and_go_as_files(client, photograph, tmp_path):
    project = client.create_project(photograph, MOTION, name="leaf")
    file = client.export_motion(project.id, tmp_path / "leaf.pth", "ati", options={"after": "vanish"}, fps=24)
    with pytest.raises(StudioError, match="does not say which picture size") as caught:
        client.import_motion(file, width=64, height=48)
    assert (caught.value.code, caught.value.details["needs"]) == ("ambiguous", "size")
    found = client.import_motion(file, width=64, height=48, file_width=64, file_height=48)
    assert found.num_tracks == 1
    assert client.preview(project.id, MOTION, max_side=64)[4:8] == b"ftyp"
    flags = client.received(project.id, MOTION, GenerationSettings(model="wan-move-14b", num_frames=9)).flags
    assert "too_few" in {flag.kind for flag in flags}


def test_jobs_are_queued_moved_watched_and_their_end_is_told(client, photograph):
    project = client.create_project(photograph, MOTION)
    first, second, third = client.submit(project.id, settings=GenerationSettings(model="warp"), seeds=[1, 2, 3])
    client.move(third.id, before=first.id)
    assert [job.seed for job in client.jobs(project.id)] == [3, 1, 2]
    threading.Timer(0.3, lambda: [client.cancel(job.id) for job in (first, second)]).start()
    states = [(job.id, job.state) for job in client.watch(first, second)]
    assert states[:2] == sorted(((first.id, "queued"), (second.id, "queued")))
    assert set(states[2:]) == {(first.id, "cancelled"), (second.id, "cancelled")}
    with pytest.raises(StudioError, match=f"job {first.id}: was cancelled"):
        client.wait(first)
    assert client.retry(first.id).state == "queued"
    for job in (first, third):
        client.cancel(job.id)
    assert list(client.watch()) == []
    assert client.results(project.id) == []
    with pytest.raises(StudioError, match="result") as caught:
        client.restore_result("0" * 16)
    assert caught.value.code == "not_found"


def test_refusals_are_errors_with_a_code(client, running):
    project = client.start_example("rocket")
    with pytest.raises(StudioError, match="model: found 'x'") as caught:
        client.submit(project.id, settings=GenerationSettings(model="x"))
    assert caught.value.code == "bad_request"
    with pytest.raises(StudioError) as caught:
        client.project("../projects")
    assert caught.value.code in ("bad_request", "not_found")
    with pytest.raises(StudioError) as caught:
        StudioClient(f"http://127.0.0.1:{running}", token="wrong").projects()
    assert (caught.value.code, caught.value.status) == ("unauthorised", 401)


def test_a_server_that_is_not_there_is_said_to_be_so(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = StudioClient(f"http://127.0.0.1:{closed.getsockname()[1]}", token="t", patience=0.2)
        with pytest.raises(StudioError, match="no motionloom studio answers there") as caught:
            away.server()
        assert caught.value.code == "unreachable"
        with pytest.raises(StudioError, match="no motionloom studio answers"):
            next(away.events())
        with pytest.raises(StudioError):
            away.download("0" * 16, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="expected an address such as"):
        StudioClient("file:///etc/passwd")
    with pytest.raises(StudioError, match=r"gone\.png: cannot be read"):
        away.create_project(tmp_path / "gone.png")


@contextmanager
def scripted(answers):
    """A server that answers each request with the next of ``answers``: status, content; and what it was asked."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Last-Event-ID")))
            status, content = answers[min(len(asked), len(answers)) - 1]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://example.invalid/")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def event(number):
    data = json.dumps({"id": number, "kind": "workers"})
    return f": still here\nid: {number}\nevent: workers\ndata: {data}\n\n".encode()


def test_a_lost_stream_goes_on_where_it_was():
    lost = b'id: 9\ndata: {"id": 9, '
    with scripted([(200, event(7) + event(8) + lost), (503, b""), (200, event(9))]) as (url, asked):
        heard = StudioClient(url, patience=20).events(after=5)
        assert [next(heard).id for _ in range(3)] == [7, 8, 9]
    assert [number for _, number in asked] == ["5", "8", "8"]


def test_answers_of_something_else_are_no_studio():
    with scripted([(200, b"<html>hello</html>")]) as (url, _), pytest.raises(StudioError, match="not that of a"):
        StudioClient(url).server()
    with scripted([(302, b"")]) as (url, asked):
        with pytest.raises(StudioError, match="answered 302"):
            StudioClient(url, token="secret").server()
        assert len(asked) == 1
