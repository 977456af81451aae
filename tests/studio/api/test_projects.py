"""Projects over HTTP."""

import json

import pytest

from motionloom.studio.api.shared import attachment


def write(client, project, **change):
    body = {"base_version": project["version"], "motion": project["motion"], "settings": project["settings"], **change}
    return client.put(f"projects/{project['id']}", json=body)


def test_a_photograph_becomes_a_project(client, photograph):
    answer = client.post("projects", files={"image": ("my holiday.photo.png", photograph)}, data={"tab": "t1"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["version"], made["width"], made["height"]) == ("my holiday.photo", 1, 64, 48)
    assert made["motion"]["canvas"] == {"width": 64, "height": 48}
    assert made["settings"]["model"] == "nano"
    assert client.get(f"projects/{made['id']}").json() == made
    listed = client.get("projects").json()
    assert listed == [{key: made[key] for key in listed[0]}]


def test_names_of_files_are_never_paths(client, photograph, settings):
    for name in ("../../../etc/passwd.png", "C:\\Users\\x\\cat.png", "a/b/cat.png", ".png"):
        made = client.post("projects", files={"image": (name, photograph)}).json()
        assert "/" not in made["name"]
        assert "\\" not in made["name"]
    assert {path.name for path in settings.data.parent.iterdir()} == {"studio"}


def test_a_motion_file_may_come_with_the_photograph(client, photograph):
    from motionloom.examples_data import example

    content = example("rocket")[1].read_bytes()
    answer = client.post("projects", files={"image": ("x.png", photograph), "motion": ("m.motion.json", content)})
    assert answer.status_code == 201, answer.text
    assert [each["kind"] for each in answer.json()["motion"]["instructions"]] == ["region", "static"]
    assert answer.json()["motion"]["canvas"] == {"width": 64, "height": 48}
    answer = client.post("projects", files={"image": ("x.png", photograph), "motion": ("m.json", b"[[[[")})
    assert answer.status_code in (400, 415)
    assert len(client.get("projects").json()) == 1


def test_what_is_no_photograph_is_refused(client):
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    for name, kind in (("x.svg", "image/svg+xml"), ("x.png", "image/png"), ("x.html", "text/html")):
        answer = client.post("projects", files={"image": (name, svg, kind)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported")
    answer = client.post("projects", data={"name": "x"}, files={"other": ("x", b"")})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "image: missing; expected a value here")


def test_a_conflict_names_the_newest_version(client, project):
    project["motion"]["num_frames"] = 9
    assert write(client, project).json()["version"] == 2
    project["motion"]["num_frames"] = 10
    answer = write(client, project)
    assert (answer.status_code, answer.json()["error"]["details"]) == (409, {"version": 2})
    assert write(client, project, overwrite=True).json()["version"] == 3


def test_everyone_hears_who_wrote(client, studio, project):
    before = studio.events.last
    project["motion"]["num_frames"] = 9
    write(client, project, tab="tab-1")
    (change,) = studio.events.after(before)
    event = json.loads(change.body)
    assert (change.kind, event["tab"], event["project"]["version"]) == ("project", "tab-1", 2)
    client.delete(f"projects/{project['id']}")
    assert [each.kind for each in studio.events.after(change.id)] == ["project_removed"]


def test_pictures_are_served_as_webp_and_nothing_else(client, project):
    for kind in ("image", "thumbnail"):
        answer = client.get(f"projects/{project['id']}/{kind}")
        assert answer.headers["content-type"] == "image/webp"
        assert answer.content[8:12] == b"WEBP"
        assert "no-cache" in answer.headers["cache-control"]


def test_versions_over_http(client, project):
    project["motion"]["num_frames"] = 9
    write(client, project)
    address = f"projects/{project['id']}/versions"
    assert [each["version"] for each in client.get(address).json()] == [2, 1]
    assert client.get(f"{address}/1").json()["motion"]["num_frames"] == 49
    assert client.post(f"{address}/1/restore").json()["version"] == 3
    assert client.get(f"projects/{project['id']}").json()["motion"]["num_frames"] == 49
    assert client.get(f"{address}/77").status_code == 404
    assert client.get(f"{address}/0").status_code == 400


def test_delete_restore_duplicate(client, project):
    address = f"projects/{project['id']}"
    copy = client.post(f"{address}/duplicate")
    assert (copy.status_code, copy.json()["name"]) == (201, "cat copy")
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    assert client.delete(address).status_code == 404
    assert client.post(f"{address}/restore").json() == project


def test_ids_are_sixteen_hex_digits(client):
    for id in ("..", "%2e%2e", "0" * 15, "0" * 17, "G" * 16, "..%2f..%2fetc%2fpasswd", "%00" * 16):
        for address in (f"projects/{id}", f"projects/{id}/image", f"projects/{id}/versions"):
            assert client.get(address).status_code in (400, 404), address


def test_a_full_disk_is_told_and_changes_nothing(client, project, monkeypatch):
    import errno

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("motionloom.studio.projects.store.os.fsync", full)
    answer = write(client, project, name="other")
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
    monkeypatch.undo()
    assert client.get(f"projects/{project['id']}").json() == project


def test_motions_may_name_no_files_of_the_server(client, project):
    project["motion"]["instructions"] = [{"kind": "region", "mask": "../../secret.png"}]
    answer = write(client, project)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("name", "plain", "full"),
    [
        ("cat.mp4", "cat.mp4", "cat.mp4"),
        ("Kätzchen 🐈.mp4", "Katzchen.mp4", "K%C3%A4tzchen%20%F0%9F%90%88.mp4"),
        ('a"b\\c/d.mp4', "abcd.mp4", "abcd.mp4"),
        ("x\r\nSet-Cookie: a=b", "xSet-Cookie a=b", "xSet-Cookie%20a%3Db"),
        ("../../.bashrc", "bashrc", "bashrc"),
        ("", "motionloom", "motionloom"),
        ("日本.json", "motionloom.json", "%E6%97%A5%E6%9C%AC.json"),
        ("x" * 300 + ".mp4", None, None),
    ],
)
def test_names_of_downloads_are_safe(name, plain, full):
    value = attachment(name)["Content-Disposition"]
    assert value.isascii()
    assert value.isprintable()
    if plain is not None:
        assert value == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"
    else:
        assert value.count("x" * 100) == 2
        assert value.endswith("x.mp4")
        assert len(value) < 400


def test_a_picture_that_is_deleted_while_it_is_asked_for_is_told_as_such(client, studio, project, monkeypatch):
    real = studio.projects.thumbnail_path

    def found_then_deleted(id):
        path = real(id)
        studio.projects.delete(id)
        return path

    monkeypatch.setattr(studio.projects, "thumbnail_path", found_then_deleted)
    answer = client.get(f"projects/{project['id']}/thumbnail")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_what_is_wrong_in_an_address_is_named_by_its_own_name(client, project):
    answer = client.delete(f"projects/{project['id']}", params={"tab": "a" * 65})
    assert answer.json()["error"]["message"].startswith("tab: found ")
    assert client.get(f"projects/{project['id']}/versions/x").json()["error"]["message"].startswith("number: found ")
