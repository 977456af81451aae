"""The trash over HTTP."""

import sqlite3

from motionloom.studio.jobs.database import Database


def test_deleted_is_listed_brought_back_and_removed_for_good(client, project):
    assert client.get("trash").json() == {"projects": [], "results": [], "bytes": 0}
    client.delete(f"projects/{project['id']}")
    found = client.get("trash").json()
    (thing,) = found["projects"]
    assert (thing["id"], thing["name"], thing["restorable"]) == (project["id"], "cat", True)
    assert thing["deleted"] >= project["created"]
    assert found["bytes"] == thing["bytes"] > 0
    assert client.post(f"projects/{project['id']}/restore").json() == project
    assert client.get("trash").json()["projects"] == []
    client.delete(f"projects/{project['id']}")
    assert client.delete("trash").status_code == 204
    assert client.get("trash").json() == {"projects": [], "results": [], "bytes": 0}
    answer = client.post(f"projects/{project['id']}/restore")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert client.delete("trash").status_code == 204


def test_a_full_disk_can_be_freed(client, project, monkeypatch):
    client.delete(f"projects/{project['id']}")

    def full(*args, **kwargs):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Database, "writing", full)
    assert client.delete("trash").status_code == 204
    assert client.get("trash").json()["bytes"] == 0


def test_names_of_files_that_are_no_text(client, settings):
    folder = settings.data / "trash" / "projects"
    folder.mkdir(parents=True)
    try:
        (folder / "caf\udce9").write_bytes(b"x")
    except OSError:  # a file system that takes none
        return
    assert [thing["name"] for thing in client.get("trash").json()["projects"]] == ["caf?"]
