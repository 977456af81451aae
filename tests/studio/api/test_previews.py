from __future__ import annotations

import asyncio
import time

import httpx2

from motionloom.studio import previews

MOTION = {
    "format": "motionloom.motion",
    "version": 1,
    "canvas": {"width": 64, "height": 48},
    "num_frames": 9,
    "fps": 8,
    "instructions": [{"kind": "path", "id": "leaf", "points": [[10, 10], [40, 30]]}],
}


def test_a_preview_is_a_video_with_its_facts_in_the_headers(client, project):
    wanted = {"project": project["id"], "motion": MOTION, "key": "tab", "max_side": 64, "max_frames": 5}
    answer = client.post("previews", json=wanted)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content[4:8] == b"ftyp"
    assert answer.headers["x-motionloom-frames"] == "5"
    assert answer.headers["x-motionloom-fps"] == "4"
    assert answer.headers["x-motionloom-drawn-frames"] == "9"
    assert answer.headers["cache-control"] == "no-store"


def test_errors_of_the_motion_name_the_instruction(client, project):
    broken = {**MOTION, "instructions": [{"kind": "region", "id": "cup", "mask": "cup.png"}]}
    answer = client.post("previews", json={"project": project["id"], "motion": broken, "key": "tab"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"
    assert "names the file 'cup.png'" in answer.json()["error"]["message"]
    odd = {
        **MOTION,
        "instructions": [{"kind": "circle", "id": "ring", "center": [1, 1], "radius": 4, "radius_curve": -1}],
    }
    answer = client.post("previews", json={"project": project["id"], "motion": odd, "key": "tab"})
    assert "radius_curve: found radius -1" in answer.json()["error"]["message"]
    missing = client.post("previews", json={"project": "0" * 16, "motion": MOTION, "key": "tab"})
    assert missing.status_code == 404


def test_an_older_request_of_the_same_key_is_answered_as_superseded(app, client, project, monkeypatch):
    real = previews.render

    def slow(image, motion, max_frames, on_progress):
        for step in range(20):
            time.sleep(0.02)
            on_progress(step, 20)
        return real(image, motion, max_frames, on_progress)

    monkeypatch.setattr(previews, "render", slow)

    async def ask():
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860/api/v1") as asking:
            answers = []
            for shift in range(6):
                moved = {**MOTION, "pan": [{"velocity": [shift * 0.01, 0]}]}
                wanted = {"project": project["id"], "motion": moved, "key": "tab"}
                answers.append(asyncio.create_task(asking.post("/previews", json=wanted)))
                await asyncio.sleep(0.01)
            return await asyncio.gather(*answers)

    answers = asyncio.run(ask())
    # On a busy machine requests sent at once may overtake each other; one of them is the newest.
    assert sorted(each.status_code for each in answers) == [200, *[409] * 5]
    superseded = [each for each in answers if each.status_code == 409]
    assert superseded[0].json()["error"]["code"] == "superseded"


def test_what_the_model_receives(client, project):
    settings = {"model": "wan-move-14b", "size": {"width": 64, "height": 48}}
    answer = client.post("received", json={"project": project["id"], "motion": MOTION, "settings": settings})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["model"], found["method"], found["num_frames"]) == ("wan-move-14b", "wan_move", 81)
    assert found["grid"]["rows"] == 6
    assert {flag["kind"] for flag in found["flags"]} == {"too_few", "sparse"}
    assert found["speeds"][0]["instruction"] == "leaf"
    wrong = client.post("received", json={"project": project["id"], "motion": MOTION, "settings": {"model": "x"}})
    assert wrong.status_code == 400
    assert "expected one of warp, nano" in wrong.json()["error"]["message"]
