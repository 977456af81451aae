"""A studio without workers in a temporary folder, and a client that talks to it without a network."""

import io

import pytest
from PIL import Image

BASE = "http://127.0.0.1:7860"
API = "/api/v1"


@pytest.fixture
def settings(tmp_path):
    from motionloom.studio.settings import StudioSettings

    return StudioSettings(tmp_path / "studio", devices=(), static=tmp_path / "no-page")


@pytest.fixture
def app(settings, monkeypatch):
    from motionloom.studio.app import create_app
    from motionloom.studio.previews import PreviewService

    # What a server loads in the background is loaded by the tests that need it.
    monkeypatch.setattr(PreviewService, "warm_up", lambda self: None)
    return create_app(settings)


@pytest.fixture
def client(app):
    """A client of a running studio; addresses are relative to /api/v1."""
    from starlette.testclient import TestClient

    with TestClient(app, base_url=BASE + API, raise_server_exceptions=False) as found:
        yield found


@pytest.fixture
def studio(app):
    return app.state.studio


@pytest.fixture(scope="session")
def photograph():
    """The bytes of a small PNG, 64 pixels wide and 48 high."""
    return picture_bytes()


def picture_bytes(width=64, height=48, form="PNG", **options):
    image = Image.radial_gradient("L").resize((width, height)).convert("RGB")
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    return stream.getvalue()


@pytest.fixture
def project(client, photograph):
    """A new project, as the API answers it."""
    answer = client.post("projects", files={"image": ("cat.png", photograph)})
    assert answer.status_code == 201, answer.text
    return answer.json()
