"""What the server says of itself, of its models, LoRAs and examples, and of its API."""

import dataclasses
import json
import os
import re

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from motionloom.studio import models_facts
from motionloom.studio.app import create_app
from motionloom.studio.loras import find_lora
from motionloom.studio.problems import Refused
from motionloom.version import __version__


def test_the_server_says_what_it_takes(client, settings):
    facts = client.get("server").json()
    assert (facts["version"], facts["api"], facts["workers"]) == (__version__, "v1", [])
    assert facts["max_upload_bytes"] == settings.limits.max_upload_bytes
    assert facts["free_bytes"] > 0
    assert facts["default_model"] in [each["name"] for each in client.get("models").json()]


def test_models_are_those_of_the_catalogue(client):
    models = {each["name"]: each for each in client.get("models").json()}
    assert models["nano"]["installed"] is True
    assert (models["nano"]["width"], models["nano"]["num_frames"], models["nano"]["fps"]) == (128, 17, 8.0)
    assert models["warp"]["width"] is None
    ati = models["ati-14b"]
    assert (ati["installed"], ati["num_inference_steps"], ati["reads_text"]) == (False, 40, True)
    assert ati["limits"]["source"]


def test_folders_the_server_was_started_with_are_offered_by_their_names(settings, tmp_path):
    from pathlib import Path

    from motionloom.models.nano import __file__ as nano

    weights = Path(nano).parent / "weights"
    mine = tmp_path / "nano"
    mine.symlink_to(weights)
    found = models_facts.offered(dataclasses.replace(settings, models=(mine,)))
    assert found[-1].name == "nano-2"
    assert found[-1].source == str(mine)
    assert str(tmp_path) not in models_facts.facts(found[-1]).model_dump_json()
    mine.unlink()
    assert [each.name for each in models_facts.offered(dataclasses.replace(settings, models=(mine,)))][-1] != "nano-2"


def test_jobs_can_name_only_what_is_offered(settings, tmp_path):
    assert models_facts.find(settings, "nano").source == "nano"
    assert models_facts.find(settings, "wan2.2").name == "wan2.2-i2v-a14b"
    for name in (str(tmp_path), "owner/repository", "../nano", ""):
        with pytest.raises(Refused, match="expected one of warp, nano"):
            models_facts.find(settings, name)


def test_loras_are_the_safetensors_files_of_one_folder(client, settings, tmp_path):
    assert client.get("loras").json() == []
    folder = settings.data / "loras"
    folder.mkdir()
    (folder / "Slow pan.safetensors").write_bytes(bytes(10))
    (folder / "wan-lightning-4step.safetensors").write_bytes(bytes(20))
    (folder / "pickle.pt").write_bytes(bytes(30))
    (folder / ".hidden.safetensors").write_bytes(bytes(30))
    (tmp_path / "outside.safetensors").write_bytes(bytes(30))
    (folder / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    (folder / "folder.safetensors").mkdir()
    assert client.get("loras").json() == [
        {"name": "Slow pan", "size": 10, "few_step": False},
        {"name": "wan-lightning-4step", "size": 20, "few_step": True},
    ]
    assert find_lora(settings.data, "Slow pan") == folder / "Slow pan.safetensors"
    for name in ("link", "../outside", "pickle", "/etc/passwd"):
        with pytest.raises(Refused, match="this server has Slow pan"):
            find_lora(settings.data, name)


# ---------------------------------------------------------------------------------------------------------- examples
@pytest.mark.slow
def test_every_example_starts_a_project_that_compiles(client):
    from motionloom.tracks.motion import Motion

    examples = client.get("examples").json()
    assert [each["name"] for each in examples][:4] == ["rocket", "coffee", "galaxies", "cat"]
    kinds = set()
    for example in examples:
        made = client.post(f"examples/{example['name']}")
        assert made.status_code == 201
        project = made.json()
        assert (project["name"], project["width"]) == (example["title"], example["width"])
        motion = Motion.parse(project["motion"])
        assert motion.compile().num_tracks > 0
        assert motion.size == (example["height"], example["width"])
        kinds |= {each.kind for each in motion.instructions}
    assert kinds == {"path", "circle", "static", "box", "region", "rotate", "camera"}
    assert client.post("examples/nonsense").status_code == 404


def test_examples_are_shown_with_their_motion(client):
    answer = client.get("examples/cat/thumbnail")
    assert answer.headers["content-type"] == "image/webp"
    assert client.get("examples/cat/thumbnail").content == answer.content
    assert client.get("examples/dog/thumbnail").status_code == 404


# --------------------------------------------------------------------------------------------------------------- page
@pytest.fixture
def built(settings, tmp_path):
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>studio</title>")
    (folder / "assets" / "app-1a2b.js").write_text("1")
    (folder / "icon.png").write_bytes(b"png")
    (folder / "drawing.svg").write_text("<svg/>")
    (folder / ".env").write_text("secret")
    (tmp_path / "outside.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "outside.js")
    app = create_app(dataclasses.replace(settings, static=folder))
    return TestClient(app, base_url="http://127.0.0.1:7860")


def test_the_page_is_served_from_a_table(built, tmp_path):
    index = built.get("/")
    assert (index.status_code, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert index.headers["cache-control"] == "no-cache"
    assert (built.head("/").status_code, built.head("/").content) == (200, b"")
    script = built.get("/assets/app-1a2b.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in script.headers["cache-control"]
    assert built.get("/icon.png").headers["content-type"] == "image/png"
    for address in ("/drawing.svg", "/.env", "/link.js", "/assets", "/assets/", "/../outside.js", "/%2e%2e/outside.js",
                    "//etc/passwd", "/assets/..%2f..%2foutside.js", "/nonsense"):  # fmt: skip
        assert built.get(address).status_code in (400, 404), address


def test_a_page_that_was_built_anew_is_found(built, tmp_path):
    (tmp_path / "page" / "assets" / "app-3c4d.js").write_text("2")
    (tmp_path / "page" / "index.html").write_text("<!doctype html><title>new</title>")
    os.utime(tmp_path / "page" / "index.html", (1, 1))
    assert built.get("/assets/app-3c4d.js").status_code == 404
    assert "new" in built.get("/").text
    assert built.get("/assets/app-3c4d.js").text == "2"


def test_without_a_page_the_server_says_how_to_build_it(client):
    answer = client.get("http://127.0.0.1:7860/")
    assert answer.status_code == 503
    assert "make studio" in answer.text


# ------------------------------------------------------------------------------------------------------- description
def test_the_api_is_described_with_errors_as_they_are(client):
    document = client.get("openapi.json").json()
    assert document["openapi"].startswith("3.1")
    names = []
    for path, operations in document["paths"].items():
        assert path.startswith("/api/v1/")
        for method, operation in operations.items():
            names.append(operation["operationId"])
            assert operation.get("description") or operation.get("summary"), path
            assert operation["tags"], path
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, (method, path, status)
            assert {"400", "401", "403", "413", "500"} <= operation["responses"].keys()
            if "{id}" in path:
                assert "404" in operation["responses"], (method, path)
    assert len(names) == len(set(names))
    assert "HTTPValidationError" not in json.dumps(document)
    assert len(names) > 35


def test_the_schemas_of_the_description_are_valid_and_all_there(client):
    document = client.get("openapi.json").json()
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("type") or schema.get("enum"), name
    wanted = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert wanted <= schemas.keys()
    assert {"Project", "ProjectWrite", "Job", "Result", "Event", "ErrorAnswer"} <= wanted


def test_no_page_of_a_framework_is_served(client):
    for address in ("/docs", "/redoc", "/api/v1/docs", "/openapi.json"):
        assert client.get(f"http://127.0.0.1:7860{address}").status_code == 404
