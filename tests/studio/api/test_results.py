"""Results over HTTP."""

import io
import json
import shutil

import numpy as np
import pytest
from starlette.testclient import TestClient

from motionloom.media import Clip, read_provenance
from motionloom.studio.app import create_app
from motionloom.studio.jobs.running import ModelShelf, Runner
from motionloom.studio.previews import PreviewService
from motionloom.studio.settings import StudioSettings


@pytest.fixture(scope="module")
def finished(tmp_path_factory, photograph):
    """A data folder with the result of a job that a worker has done, and the ids of its project and of the job."""
    data = tmp_path_factory.mktemp("finished") / "studio"
    app = create_app(StudioSettings(data, devices=(), static=data / "no-page"))
    studio = app.state.studio
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreviewService, "warm_up", lambda self: None)
        patch.chdir(data)
        with TestClient(app, base_url="http://127.0.0.1:7860/api/v1") as client:
            project = client.post("projects", files={"image": ("cat.png", photograph)}).json()
            motion = {
                **project["motion"],
                "num_frames": 5,
                "fps": 8.0,
                "instructions": [
                    {"id": "p", "kind": "path", "points": [[20, 20, 0], [40, 24, 4]], "curve": "polyline"}
                ],
            }
            wanted = {"project": project["id"], "motion": motion, "settings": {"model": "warp"}, "seeds": [7]}
            (job,) = client.post("jobs", json=wanted).json()["jobs"]
            Runner(studio.jobs, studio.results, ModelShelf("cpu", lambda name: name)).run(studio.jobs.claim("w"))
    return data, project["id"], job["id"]


@pytest.fixture
def settings(settings, finished):
    """Of a studio with a copy of that data folder."""
    shutil.copytree(finished[0], settings.data)
    return settings


@pytest.fixture
def project(client, finished):
    return client.get(f"projects/{finished[1]}").json()


@pytest.fixture
def result(client, finished):
    return client.get(f"results/{finished[2]}").json()


def test_what_is_known_of_a_result(client, project, result):
    assert client.get("results").json()["results"] == [result]
    assert client.get("results", params={"project": project["id"]}).json()["results"] == [result]
    assert client.get("results", params={"project": "f" * 16}).json()["results"] == []
    assert (result["width"], result["height"], result["num_frames"], result["seed"]) == (64, 48, 5, 7)
    assert client.get(f"jobs/{result['job']}").json()["result"] == result["id"]
    assert client.get("projects").json()[0]["num_results"] == 1


def test_videos_come_whole_and_in_parts(client, result, tmp_path):
    answer = client.get(f"results/{result['id']}/video")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert len(answer.content) == result["bytes"]
    assert "no-store" not in answer.headers["cache-control"]
    part = client.get(f"results/{result['id']}/video", headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, answer.content[4:12])
    assert part.headers["content-range"] == f"bytes 4-11/{result['bytes']}"
    beyond = client.get(f"results/{result['id']}/video", headers={"Range": f"bytes={result['bytes']}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{result['bytes']}")
    wrong = client.get(f"results/{result['id']}/video", headers={"Range": "bytes=x"})
    assert wrong.status_code == 400
    assert beyond.json()["error"]["message"].startswith("Range: found 'bytes=")
    assert wrong.json()["error"]["code"] == "bad_request"
    (tmp_path / "v.mp4").write_bytes(answer.content)
    assert Clip.load(tmp_path / "v.mp4").frames.shape == (5, 48, 64, 3)


def test_poster_overlay_preview_and_provenance(client, result, tmp_path):
    from PIL import Image

    poster = client.get(f"results/{result['id']}/poster")
    assert Image.open(io.BytesIO(poster.content)).size == (64, 48)
    for kind in ("overlay", "preview"):
        answer = client.get(f"results/{result['id']}/{kind}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
        (tmp_path / "v.mp4").write_bytes(answer.content)
        assert Clip.load(tmp_path / "v.mp4").num_frames == 5
    provenance = client.get(f"results/{result['id']}/provenance").json()
    assert provenance["parameters"]["seed"] == 7
    assert str(tmp_path) not in json.dumps(provenance)


def test_the_motion_of_a_result_makes_the_same_video_with_another_seed(client, result):
    motion = client.get(f"results/{result['id']}/motion").json()
    assert [each["id"] for each in motion["instructions"]] == ["p"]
    assert (motion["num_frames"], motion["canvas"]) == (5, {"width": 64, "height": 48})
    wanted = {"project": result["project"], "motion": motion, "settings": result["settings"], "seeds": [8]}
    answer = client.post("jobs", json=wanted)
    assert (answer.status_code, answer.json()["jobs"][0]["seed"]) == (201, 8)


@pytest.mark.parametrize(
    ("kind", "form", "content", "name"),
    [
        ("video", "mp4", "video/mp4", "cat seed 7.mp4"),
        ("video", "gif", "image/gif", "cat seed 7.gif"),
        ("overlay", "webm", "video/webm", "cat seed 7 overlay.webm"),
        ("side_by_side", "webp", "image/webp", "cat seed 7 side by side.webp"),
    ],
)
def test_downloads_are_attachments_with_provenance(client, result, tmp_path, kind, form, content, name):
    answer = client.get(f"results/{result['id']}/download", params={"kind": kind, "format": form})
    assert (answer.status_code, answer.headers["content-type"]) == (200, content)
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{name}"')
    path = tmp_path / f"taken.{form}"
    path.write_bytes(answer.content)
    assert read_provenance(path)


@pytest.mark.parametrize("query", [{"format": "svg"}, {"format": "html"}, {"kind": "../video"}])
def test_other_formats_are_refused(client, result, query):
    assert client.get(f"results/{result['id']}/download", params=query).status_code == 400


def test_into_the_trash_and_back(client, studio, result):
    seen = studio.events.last
    assert client.delete(f"results/{result['id']}").status_code == 204
    for path in ("", "/video", "/poster", "/overlay", "/preview", "/provenance", "/motion", "/download"):
        assert client.get(f"results/{result['id']}{path}").status_code == 404
    assert client.delete(f"results/{result['id']}").status_code == 404
    assert [change.kind for change in studio.events.after(seen)] == ["result_removed"]
    assert client.post(f"results/{result['id']}/restore").json() == result
    assert [change.kind for change in studio.events.after(seen)] == ["result"]
    assert client.get(f"results/{result['id']}/video").status_code == 200


def test_on_a_full_disk_results_can_be_deleted(client, studio, result, monkeypatch):
    from motionloom.studio.jobs.database import DiskFull

    def full(result, removed=False):
        raise DiskFull("full")

    monkeypatch.setattr(studio.jobs, "result_changed", full)
    assert client.delete(f"results/{result['id']}").status_code == 204
    assert client.get("results").json()["results"] == []


def test_what_was_deleted_before_it_was_measured_is_measured_once_it_is_back(client, studio, result):
    wanted = studio.jobs.measuring.next()
    client.delete(f"results/{result['id']}")
    studio.jobs.measuring.done(wanted.result)
    assert studio.jobs.measuring.next() is None
    client.post(f"results/{result['id']}/restore")
    assert studio.jobs.measuring.next() == wanted


def test_edit_this_again_makes_the_project_it_was(client, project, result):
    client.delete(f"projects/{project['id']}")
    client.delete(f"jobs/{result['job']}")
    answer = client.post(f"results/{result['id']}/edit", params={"tab": "left"})
    assert answer.status_code == 201
    made = answer.json()
    assert made["id"] != project["id"]
    assert (made["name"], made["width"], made["height"]) == (project["name"], 64, 48)
    assert (made["settings"]["model"], made["settings"]["seed"], made["settings"]["count"]) == ("warp", 7, 1)
    assert [each["id"] for each in made["motion"]["instructions"]] == ["p"]
    first, second = (client.get(f"projects/{made['id']}/image").content for _ in range(2))
    assert first == second


def test_the_same_again_gives_the_same_video(client, studio, result):
    """A project made of a result, generated once more."""
    made = client.post(f"results/{result['id']}/edit").json()
    (job,) = client.post("jobs", json={"project": made["id"]}).json()["jobs"]
    Runner(studio.jobs, studio.results, ModelShelf("cpu", lambda name: name)).run(studio.jobs.claim("w"))
    videos = [studio.results.folder(each) / "video.mp4" for each in (result["id"], job["id"])]
    assert np.array_equal(*(Clip.load(video).frames for video in videos))


def test_results_outlive_their_project(client, project, result):
    client.delete(f"projects/{project['id']}")
    assert client.get("results").json()["results"] == [result]
    assert client.get(f"results/{result['id']}/video").status_code == 200


@pytest.mark.parametrize("id", ["..", "%2e%2e", "1" * 17, "record.json", "%2fetc"])
def test_ids_are_ids(client, id):
    assert client.get(f"results/{id}/video").status_code in (400, 404)


def test_a_full_disk_is_told(client, result, monkeypatch):
    import errno

    def full(self, path, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Clip, "save", full)
    answer = client.get(f"results/{result['id']}/overlay")
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
