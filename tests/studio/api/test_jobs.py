"""Jobs over HTTP."""

import pytest

from motionloom.studio.jobs.store import JobStore


def create(client, project, **wanted):
    answer = client.post("jobs", json={"project": project["id"], **wanted})
    assert answer.status_code == 201, answer.text
    return answer.json()["jobs"]


def problem(answer, status, code):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    return error["message"]


WARP = {"model": "warp"}


def test_jobs_are_made_of_the_project_as_it_is(client, studio, project):
    (job,) = create(client, project)
    assert job["state"] == "queued"
    assert (job["project"], job["project_name"]) == (project["id"], project["name"])
    assert (job["model"], job["settings"]) == ("nano", project["settings"])
    assert (job["width"], job["height"]) == (64, 48)
    client.delete(f"projects/{project['id']}")
    snapshots = studio.jobs.snapshots
    assert snapshots.image(job["id"]).stat().st_size > 100
    assert snapshots.motion(job["id"]).num_frames == 49


def test_one_job_for_every_seed(client, project):
    assert [job["seed"] for job in create(client, project, settings={**WARP, "seed": 5, "count": 3})] == [5, 6, 7]
    assert [job["seed"] for job in create(client, project, settings=WARP, seeds=[9, 2])] == [9, 2]
    assert [job["seed"] for job in client.get("jobs").json()["jobs"]] == [5, 6, 7, 9, 2]


def test_motion_and_settings_given_take_the_place_of_the_stored_ones(client, studio, project):
    motion = {**project["motion"], "num_frames": 7}
    (job,) = create(client, project, motion=motion, settings={**WARP, "strength": 0.5})
    assert studio.jobs.snapshots.motion(job["id"]).num_frames == 7
    assert job["settings"]["strength"] == 0.5
    assert client.get(f"projects/{project['id']}").json()["version"] == project["version"]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"model": "no-such-model"}, "model: found 'no-such-model', expected one of"),
        ({"model": "../../nano"}, "model: found '../../nano', expected one of"),
        ({"method": "magic"}, "method: nano knows"),
        ({"window": [0.9, 0.1]}, "window: found 0.9:0.1"),
        ({"post": "explode"}, "explode"),
        ({"loras": [{"name": "../secret"}]}, "lora: found '../secret', this server has none"),
        ({"size": {"width": 64, "height": 48}, "resolution": "480p"}, "beside a size"),
        ({"seed": 2**53 - 1, "count": 2}, "seed: found 9007199254740992"),
        ({"model": "wan2.1-i2v-14b-480p"}, "is not on this disk"),
    ],
)
def test_what_no_worker_could_do_is_refused_at_once(client, studio, project, chosen, words):
    answer = client.post("jobs", json={"project": project["id"], "settings": chosen})
    assert words in problem(answer, 400, "bad_request")
    assert client.get("jobs").json()["jobs"] == []
    assert list((studio.settings.data / "jobs").iterdir()) == []


def test_motions_that_are_none_or_name_files_are_refused(client, project):
    def ask(motion):
        return client.post("jobs", json={"project": project["id"], "motion": motion})

    problem(ask({"format": "something"}), 400, "bad_request")
    region = {"kind": "region", "mask": "/etc/passwd", "path": {"points": [[1, 1, 0], [2, 2, 4]]}}
    message = problem(ask({**project["motion"], "instructions": [region]}), 400, "bad_request")
    assert "data: URL" in message or "mask" in message
    problem(ask({**project["motion"], "num_frames": 100_000}), 413, "too_large")


def test_seeds_are_not_asked_for_twice(client, project):
    answer = client.post("jobs", json={"project": project["id"], "settings": WARP, "seeds": [1, 1]})
    assert "found one twice" in problem(answer, 400, "bad_request")


def test_a_queue_that_is_too_long_is_busy(client, project, monkeypatch):
    from motionloom.studio.api import jobs

    monkeypatch.setattr(jobs, "MAX_WAITING", 3)
    create(client, project, settings={**WARP, "count": 2})
    answer = client.post("jobs", json={"project": project["id"], "settings": {**WARP, "count": 2}})
    assert "2 wait already" in problem(answer, 503, "busy")


def test_cancel_retry_move_delete(client, project):
    a, b, c = (job["id"] for job in create(client, project, settings={**WARP, "count": 3}))

    def order():
        return [job["id"] for job in client.get("jobs", params={"state": "queued"}).json()["jobs"]]

    assert client.post(f"jobs/{c}/move", json={"before": a}).json()["state"] == "queued"
    assert client.post(f"jobs/{a}/move", json={}).status_code == 200
    assert order() == [c, b, a]
    assert client.post(f"jobs/{b}/cancel").json()["state"] == "cancelled"
    assert order() == [c, a]
    assert "only one that waits" in problem(client.post(f"jobs/{b}/move", json={}), 409, "conflict")
    assert client.post(f"jobs/{b}/retry").json()["state"] == "queued"
    assert order() == [c, a, b]
    problem(client.post(f"jobs/{b}/retry"), 409, "conflict")
    assert client.delete(f"jobs/{a}").status_code == 204
    problem(client.get(f"jobs/{a}"), 404, "not_found")
    assert order() == [c, b]


def test_lists_are_by_project_and_state(client, project, photograph):
    other = client.post("projects", files={"image": ("dog.png", photograph)}).json()
    (mine,) = create(client, project, settings=WARP)
    create(client, other, settings=WARP)
    client.post(f"jobs/{mine['id']}/cancel")
    found = client.get("jobs", params={"project": project["id"]}).json()["jobs"]
    assert [job["id"] for job in found] == [mine["id"]]
    found = client.get("jobs", params={"state": ["cancelled", "failed"]}).json()["jobs"]
    assert [job["id"] for job in found] == [mine["id"]]
    problem(client.get("jobs", params={"state": "lost"}), 400, "bad_request")


def test_a_look_at_the_run(client, studio, project):
    (job,) = create(client, project, settings=WARP)
    problem(client.get(f"jobs/{job['id']}/preview"), 404, "not_found")
    studio.jobs.snapshots.write_preview(job["id"], b"RIFF....WEBP")
    answer = client.get(f"jobs/{job['id']}/preview", params={"n": 3})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.content == b"RIFF....WEBP"


def test_a_job_that_runs_cannot_be_deleted(client, studio, project):
    (job,) = create(client, project, settings=WARP)
    studio.jobs.claim("w")
    assert "cancel it first" in problem(client.delete(f"jobs/{job['id']}"), 409, "conflict")
    asked = client.post(f"jobs/{job['id']}/cancel").json()
    assert (asked["state"], asked["cancel_requested"]) == ("running", True)


def test_the_queue_survives_a_server(client, studio, project):
    jobs = create(client, project, settings={**WARP, "count": 3})
    again = JobStore(studio.settings.data / "studio.db")
    assert [job.id for job in again.list()] == [job["id"] for job in jobs]


def test_on_a_full_disk_nothing_is_queued(client, studio, project, monkeypatch):
    import errno
    import shutil

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    answer = client.post("jobs", json={"project": project["id"], "settings": WARP})
    problem(answer, 507, "disk_full")
    assert client.get("jobs").json()["jobs"] == []
    assert list((studio.settings.data / "jobs").iterdir()) == []


def test_a_full_database_is_told_and_leaves_no_folder(client, studio, project, monkeypatch):
    from motionloom.studio.jobs.database import DiskFull

    def full(jobs):
        raise DiskFull("the disk with the studio's data is full")

    monkeypatch.setattr(studio.jobs, "add", full)
    answer = client.post("jobs", json={"project": project["id"], "settings": WARP})
    problem(answer, 507, "disk_full")
    assert list((studio.settings.data / "jobs").iterdir()) == []


def test_two_hundred_jobs(client, project):
    for _ in range(4):
        create(client, project, settings={**WARP, "count": 50})
    assert len(client.get("jobs").json()["jobs"]) == 200


def test_a_model_that_makes_its_own_picture_needs_words(client, studio, project, monkeypatch):
    from dataclasses import replace

    from motionloom.models import catalog
    from motionloom.models.card import ModelCard
    from motionloom.studio import models_facts

    dreamer = ModelCard("dreamer", "Dreamer", "", "", None, ("tora",), reads_text=True, takes_image=False)
    silent = replace(dreamer, name="silent", reads_text=False)
    monkeypatch.setattr(catalog, "list_models", lambda: [catalog._warp(), dreamer, silent])

    def ask(model, **more):
        return client.post("jobs", json={"project": project["id"], "settings": {"model": model, **more}})

    for words in ({}, {"prompt": " "}):
        answer = ask("dreamer", **words)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
        assert "prompt: missing, dreamer makes its picture from it" in answer.json()["error"]["message"]
    assert ask("silent").status_code == 201
    assert ask("warp").status_code == 201
    assert ask("dreamer", prompt="a paper boat").status_code == 201
    # The motion's own words are as good.
    motion = {**project["motion"], "prompt": "a leaf falls"}
    answer = client.post("jobs", json={"project": project["id"], "motion": motion, "settings": {"model": "dreamer"}})
    assert answer.status_code == 201
    found = {each["name"]: each for each in client.get("models").json()}
    assert [found[name]["takes_image"] for name in ("warp", "dreamer")] == [True, False]
    assert models_facts.find(studio.settings, "dreamer").card is dreamer
