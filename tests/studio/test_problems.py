"""What errors say, and what they keep to themselves."""

import errno
import json
import logging
import sqlite3
from pathlib import Path

import pytest

from motionloom.errors import AmbiguousUnitsError, Cancelled, CheckpointError, FileFormatError, InputError
from motionloom.studio import problems
from motionloom.studio.problems import Refused, without_paths


def told(error, **options):
    answer = problems.answer(error, **options)
    return answer.status_code, json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InputError("x"), 400, "bad_request"),
        (FileFormatError("x"), 400, "bad_request"),
        (CheckpointError("x"), 400, "bad_request"),
        (AmbiguousUnitsError("x"), 422, "ambiguous"),
        (Cancelled("x"), 409, "superseded"),
        (Refused("conflict", "x", version=3), 409, "conflict"),
        (OSError(errno.ENOSPC, "No space left"), 507, "disk_full"),
        (sqlite3.OperationalError("database or disk is full"), 507, "disk_full"),
        (OSError(errno.EIO, "I/O error"), 500, "failed"),
        (ZeroDivisionError("secret"), 500, "failed"),
    ],
)
def test_every_error_has_a_code_and_a_status(error, status, code):
    found, problem = told(error)
    assert (found, problem["code"]) == (status, code)


def test_details_are_for_programs():
    assert told(Refused("conflict", "x", version=3))[1]["details"] == {"version": 3}
    assert told(AmbiguousUnitsError("x"))[1]["details"] == {"needs": "units"}


def test_what_nobody_foresaw_is_in_the_log_alone(caplog):
    with caplog.at_level(logging.ERROR, "motionloom.studio"):
        try:
            raise RuntimeError("password is swordfish")
        except RuntimeError as error:
            _, problem = told(error)
    assert "swordfish" not in problem["message"]
    assert "Traceback" not in problem["message"]
    reference = problem["details"]["reference"]
    assert reference in problem["message"]
    assert reference in caplog.text
    assert "swordfish" in caplog.text


def test_an_error_inside_another_of_ours_still_means_a_full_disk():
    error = FileFormatError("clip.mp4: cannot be written")
    error.__cause__ = OSError(errno.ENOSPC, "No space left")
    assert told(error)[1]["code"] == "disk_full"


def test_routes_in_our_own_refusals_are_no_paths():
    assert told(Refused("not_found", "POST /projects/1/restore"))[1]["message"] == "POST /projects/1/restore"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("/home/ada/studio/projects/12/image.png: damaged", "image.png: damaged"),
        ("cannot read '/var/lib/x/y.json' (no)", "cannot read 'y.json' (no)"),
        (r"C:\Users\Ada\clip.mp4: gone", "clip.mp4: gone"),
        ("GET /api/v1/projects lists them", "GET /api/v1/projects lists them"),
        ("data:image/png;base64,ab/cd/ef", "data:image/png;base64,ab/cd/ef"),
        ("see https://example.org/a/b/c", "see https://example.org/a/b/c"),
        ("30 frames/s and 1/2/3", "30 frames/s and 1/2/3"),
    ],
)
def test_messages_name_files_without_their_folders(message, shown):
    assert without_paths(message) == shown


def test_folders_with_spaces_are_left_out_too(tmp_path):
    folder = tmp_path / "my data"
    assert without_paths(f"{folder / 'a b.png'}: damaged", [folder]) == "a b.png: damaged"
    assert str(Path.home()) not in without_paths(f"{Path.home()}: no")


def test_an_error_in_a_route_is_answered_with_all_headers(app, client, monkeypatch):
    monkeypatch.setattr(app.state.studio.projects, "list", lambda: 1 / 0)
    answer = client.get("projects")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "failed"
    assert "ZeroDivision" not in answer.text
    assert answer.headers["content-security-policy"]


def test_unknown_addresses_and_methods_are_told_like_all_errors(client):
    assert client.get("nonsense").json()["error"]["code"] == "not_found"
    answer = client.put("server", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "bad_request")


def test_wrong_fields_are_named(client, project):
    answer = client.put(f"projects/{project['id']}", json={"base_version": -1, "motion": {}, "settings": {}})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("base_version: found -1, expected")
    answer = client.put(f"projects/{project['id']}", json={"base_version": 1, "motion": {}, "settings": {}, "x": 1})
    assert answer.json()["error"]["message"] == "x: unknown field"
