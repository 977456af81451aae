from __future__ import annotations

import hashlib
import itertools
import os
import runpy
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from motionloom.errors import CheckpointError
from motionloom.models import download, fetch, fetch_plan, store
from motionloom.models.card import HubFile, ModelCard

FakeHub = runpy.run_path(str(Path(__file__).with_name("fake_hub.py")))["FakeHub"]

BIG = bytes(range(256)) * 12_000  # 3.07 MB, three chunks
OTHER = bytes(reversed(range(256))) * 4_000
BASE, OWN = "maker/base", "maker/own"


@pytest.fixture
def hub():
    hub = FakeHub()
    hub.files = {
        OWN: {
            "config.json": b'{"dim": 8}',
            "model-00001-of-00002.safetensors": BIG,
            "model-00002-of-00002.safetensors": OTHER,
            "README.md": b"not wanted",
        },
        BASE: {"vae.pth": OTHER[:8192], "tokens/spiece.model": BIG[:9000], "tokens/map.json": b"{}"},
    }
    yield hub
    hub.close()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    return tmp_path / "models"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def model(name: str = "mine", **changes: object) -> ModelCard:
    files = (
        HubFile(OWN, "config.json", "transformer", 10),
        HubFile(OWN, "model*.safetensors", "transformer", 4_000_000, about=True),
        HubFile(BASE, "vae.pth", "vae", 8192, sha(OTHER[:8192])),
        HubFile(BASE, "tokens/spiece.model", "tokenizer", 9000),
        HubFile(BASE, "tokens/map.json", "tokenizer", 2),
    )
    values = {
        "name": name,
        "title": name,
        "description": "",
        "licence": "MIT",
        "commercial_use": True,
        "methods": ("ati",),
        "files": files,
        "installed": False,
    }
    return ModelCard(**{**values, **changes})  # pyright: ignore[reportArgumentType]


def test_everything_arrives_once_with_progress(hub, folder):
    seen: list[tuple[int, int]] = []
    card = model()
    assert store.state(card) == "no"
    work = fetch.fetch(card, endpoint=hub.endpoint, on_progress=lambda done, total: seen.append((done, total)))
    total = 10 + len(BIG) + len(OTHER) + 8192 + 9000 + 2
    assert work.total == total
    assert seen[-1] == (total, total)
    assert all(a[0] <= b[0] for a, b in itertools.pairwise(seen))
    assert store.state(card) == "complete"
    assert (folder / "maker--own" / "model-00001-of-00002.safetensors").read_bytes() == BIG
    assert (folder / "maker--base" / "tokens" / "map.json").read_bytes() == b"{}"
    assert not (folder / "maker--own" / "README.md").exists()
    files = store.local_files(card)
    assert [path.name for path in files["transformer"]] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]
    assert {path.name for path in files["tokenizer"]} == {"spiece.model", "map.json"}
    before = len(hub.requests)
    assert fetch.fetch(card, endpoint=hub.endpoint).files == ()
    assert len(hub.requests) == before, "a complete model asks nothing of the network"


def test_a_cut_connection_is_resumed_within_the_call(hub, folder):
    name = "model-00001-of-00002.safetensors"
    hub.cut = {name: 1_500_000}
    fetch.fetch(model(), endpoint=hub.endpoint)
    first, second = hub.resolved(name)
    assert first is None
    start = int(second.removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 1_500_000
    assert (folder / "maker--own" / name).read_bytes() == BIG


@pytest.mark.slow
def test_a_killed_fetch_goes_on_where_it_stopped(hub, folder):
    name = "model-00001-of-00002.safetensors"

    def stop(done: int, total: int) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    card = model(files=(HubFile(OWN, name, "transformer", len(BIG), sha(BIG)),))
    hub.cut, hub.silence = {name: 2_200_000}, 0.5
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch(card, endpoint=hub.endpoint, on_progress=stop)
    assert not (folder / "maker--own" / name).exists(), "nothing half-written under a final name"
    assert store.state(card) == "no"
    hub.requests.clear()
    again = fetch_plan.plan(card, endpoint=hub.endpoint)
    kept = again.files[0].bytes_here
    assert 1_000_000 < kept < len(BIG)
    seen: list[int] = []
    fetch.fetch(card, endpoint=hub.endpoint, on_progress=lambda done, total: seen.append(done))
    assert hub.resolved(name) == [f"bytes={kept}-"]
    assert seen[-1] == len(BIG)
    assert (folder / "maker--own" / name).read_bytes() == BIG
    assert not list((folder / "maker--own" / store.PARTIAL).iterdir())


def test_a_server_that_cannot_resume_sends_all_again(hub, folder):
    name = "model-00001-of-00002.safetensors"
    card = model(files=(HubFile(OWN, name, "transformer", len(BIG)),))
    partial = download.partial_path(fetch_plan.plan(card, endpoint=hub.endpoint).files[0].remote)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"wrong" * 1000)
    hub.ranges = False
    seen: list[int] = []
    fetch.fetch(card, endpoint=hub.endpoint, on_progress=lambda done, total: seen.append(done))
    assert (folder / "maker--own" / name).read_bytes() == BIG
    assert seen[-1] == len(BIG)


def test_damage_is_found_and_removed(hub, folder):
    name = "model-00001-of-00002.safetensors"
    hub.lies = {name: "ab" * 32}
    with pytest.raises(CheckpointError, match=rf"{name} arrived with 3072000 bytes .* damaged on the way"):
        fetch.fetch(model(), endpoint=hub.endpoint)
    assert not (folder / "maker--own" / name).exists()
    assert not list((folder / "maker--own" / store.PARTIAL).glob("model-00001*"))


def test_damage_of_a_small_file_is_found_by_gits_hash(hub, folder, monkeypatch):
    good = hub.files[OWN]["config.json"]
    card = model()
    work = fetch_plan.plan(card, endpoint=hub.endpoint)
    assert work.files[0].remote.git_sha1 == hashlib.sha1(b"blob 10\0" + good).hexdigest()
    monkeypatch.setattr(fetch, "plan", lambda *args, **options: work)
    hub.files[OWN]["config.json"] = b'{"dim": 9}'
    with pytest.raises(CheckpointError, match=r"config\.json arrived with 10 bytes"):
        fetch.fetch(card, endpoint=hub.endpoint)


def test_a_file_changed_on_the_hub_is_refused_before_the_first_byte(hub, folder):
    card = model(files=(HubFile(BASE, "vae.pth", "vae", 8192, "12" * 32),))
    with pytest.raises(CheckpointError, match=r"was changed after this version .* --accept-changed"):
        fetch.fetch(card, endpoint=hub.endpoint)
    assert not hub.resolved("vae.pth")
    fetch.fetch(card, endpoint=hub.endpoint, accept_changed=True)
    assert store.is_installed(card)


def test_too_little_disk_is_known_before_the_first_byte(hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_002_000_000))
    with pytest.raises(CheckpointError, match=r"mine: 4 MB are still to be fetched .* has 1\.0 GB left"):
        fetch.fetch(model(), endpoint=hub.endpoint)
    assert not any("/resolve/" in path for path, _ in hub.requests)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_005_000_000))
    fetch.fetch(model(), endpoint=hub.endpoint)


def test_no_server_names_files_sizes_folders_and_the_command(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(CheckpointError) as caught:
        fetch.fetch(model(), endpoint=nowhere)
    text = str(caught.value)
    assert text.startswith("mine: the hub cannot be reached (ConnectError")
    assert "5 of its 5 files are not on this disk (about 4 MB)" in text
    assert "motionloom models fetch mine" in text
    flat = " ".join(text.split())
    assert f"maker/base -> {folder}/maker--base/: vae.pth (8 kB), tokens/spiece.model (9 kB), tokens/map.json" in flat


def test_gated_missing_and_unlisted(hub):
    hub.gated = {OWN}
    with pytest.raises(CheckpointError, match=r"accepting the terms of maker/own .* hf auth login"):
        fetch.fetch(model(), endpoint=hub.endpoint)
    hub.gated = set()
    with pytest.raises(CheckpointError, match="no repository maker/gone"):
        fetch.fetch(model(files=(HubFile("maker/gone", "a.bin", "vae"),)), endpoint=hub.endpoint)
    with pytest.raises(CheckpointError, match=r"lists no vae\.safetensors \(there is vae\.pth"):
        fetch.fetch(model(files=(HubFile(BASE, "vae.safetensors", "vae"),)), endpoint=hub.endpoint)


def test_a_refused_file_ends_the_fetch_and_a_failing_server_is_asked_again(hub, monkeypatch):
    card = model(files=(HubFile(BASE, "vae.pth", "vae", 8192),))
    hub.broken = {"vae.pth": 404}
    with pytest.raises(CheckpointError, match=r"does not give out vae\.pth"):
        fetch.fetch(card, endpoint=hub.endpoint)
    hub.broken = {"vae.pth": 500}
    hub.requests.clear()
    waits: list[float] = []
    remote = fetch_plan.plan(card, endpoint=hub.endpoint).files[0].remote
    with pytest.raises(CheckpointError, match=r"stopped at 0 B of 8 kB .* goes on from there"):
        download.download(
            remote,
            store.local_path(BASE, "vae.pth"),
            endpoint=hub.endpoint,
            on_bytes=lambda count: None,
            attempts=3,
            pause=waits.append,
        )
    assert len(hub.resolved("vae.pth")) == 3
    assert len(waits) == 2
    assert waits[0] < waits[1] * 2


@pytest.mark.parametrize("path", ["../x.json", "a/../../x", "/etc/passwd", "a\\b", "C:x", "a//b", ".motionloom.json"])
def test_hostile_paths_are_refused(hub, folder, path):
    hub.files[OWN][path] = b"evil"
    with pytest.raises(CheckpointError, match="nothing is written"):
        fetch.fetch(model(), endpoint=hub.endpoint)
    assert not folder.exists() or not list(folder.rglob("*evil*"))


@pytest.mark.parametrize("repo", ["one", "../x", "a/b/c", "a/..", "", "a b/c", "-a/b"])
def test_hostile_repositories_are_refused(repo):
    with pytest.raises(CheckpointError, match='expected "owner/name"'):
        store.repository_folder(repo)


def test_shared_files_are_fetched_once_and_equal_content_is_linked(hub, folder):
    hub.files["maker/copy"] = {"encoder.pth": BIG}
    first = model(files=(HubFile(OWN, "model-00001-of-00002.safetensors", "transformer", len(BIG), sha(BIG)),))
    fetch.fetch(first, endpoint=hub.endpoint)
    second = model(
        "second", files=(*first.files, HubFile("maker/copy", "encoder.pth", "text_encoder", len(BIG), sha(BIG)))
    )
    assert store.state(second) == "partly"
    work = fetch_plan.plan(second, endpoint=hub.endpoint)
    assert [file.action for file in work.files] == ["keep", "link"]
    assert work.bytes_to_fetch == 0
    fetch.fetch(second, endpoint=hub.endpoint)
    assert len(hub.resolved("model-00001-of-00002.safetensors")) == 1
    assert not hub.resolved("encoder.pth")
    copy = folder / "maker--copy" / "encoder.pth"
    assert os.path.samefile(copy, folder / "maker--own" / "model-00001-of-00002.safetensors")


def test_files_put_there_by_hand_are_verified_not_fetched(hub, folder):
    place = folder / "maker--base"
    place.mkdir(parents=True)
    (place / "vae.pth").write_bytes(OTHER[:8192])
    fetch.fetch(model(), endpoint=hub.endpoint)
    assert not hub.resolved("vae.pth")
    assert store.verified_checksum(BASE, "vae.pth") == sha(OTHER[:8192])
    (place / "vae.pth").write_bytes(b"x" * 8192)
    assert store.verified_checksum(BASE, "vae.pth") is None
    fetch.fetch(model(), endpoint=hub.endpoint, verify=True)
    assert hub.resolved("vae.pth") == [None]
    assert (place / "vae.pth").read_bytes() == OTHER[:8192]


def test_one_fetch_at_a_time_in_a_folder(hub, folder):
    from filelock import FileLock

    (folder / "maker--own").mkdir(parents=True)
    with (
        FileLock(folder / "maker--own" / ".motionloom.lock"),
        pytest.raises(CheckpointError, match="another fetch is filling this folder"),
    ):
        fetch.fetch(model(), endpoint=hub.endpoint)


def test_a_set_of_shards_counts_when_it_is_whole(folder):
    card = model(files=(HubFile(OWN, "model*.safetensors", "transformer"),))
    place = folder / "maker--own"
    place.mkdir(parents=True)
    for number in (1, 3):
        (place / f"model-{number:05d}-of-00003.safetensors").write_bytes(b"x")
    assert store.state(card) == "no"
    (place / "model-00002-of-00003.safetensors").write_bytes(b"x")
    assert [path.name[6:11] for path in store.local_files(card)["transformer"]] == ["00001", "00002", "00003"]


@pytest.mark.parametrize("inside", ["", "fuser/", "a/b/"])
def test_a_file_whose_folder_is_not_known_is_found(hub, folder, inside):
    hub.files[OWN] = {
        f"{inside}fuser.safetensors": BIG,
        "old/deep/er/fuser.safetensors": OTHER,
        "my_fuser.safetensors": b"x",
    }
    card = model(files=(HubFile(OWN, "**/fuser.safetensors", "fuser"),))
    fetch.fetch(card, endpoint=hub.endpoint)
    assert store.local_files(card)["fuser"] == [folder / "maker--own" / inside / "fuser.safetensors"]
    assert (folder / "maker--own" / inside / "fuser.safetensors").read_bytes() == BIG
    with pytest.raises(CheckpointError, match=r"the hub lists no \*\*/extractor\.safetensors"):
        fetch.fetch(model(files=(HubFile(OWN, "**/extractor.safetensors", "fuser"),)), endpoint=hub.endpoint)


def test_a_weights_file_of_the_wrong_size_is_not_there(folder):
    card = model(files=(HubFile(BASE, "vae.pth", "vae", 8192, sha(OTHER[:8192])),))
    (folder / "maker--base").mkdir(parents=True)
    (folder / "maker--base" / "vae.pth").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"1 of its 1 files are not on this disk \(8 kB\)"):
        store.local_files(card)


def test_a_repository_in_diffusers_layout(hub, folder):
    hub.files["maker/whole"] = {
        "model_index.json": b"{}",
        "transformer/config.json": b"{}",
        "transformer/model.safetensors": BIG[:5000],
        "transformer/model.fp16.safetensors": BIG[:4500],
        "tokenizer/merges.txt": b"a b",
        "transformer/code.py": b"import os",
        "pickle.bin": b"no",
    }
    where = fetch.fetch_repository("maker/whole", endpoint=hub.endpoint)
    found = {
        path.relative_to(where).as_posix()
        for path in where.rglob("*")
        if path.is_file() and ".motionloom" not in path.as_posix()
    }
    assert found == {
        "model_index.json",
        "transformer/config.json",
        "transformer/model.safetensors",
        "tokenizer/merges.txt",
    }
    card = fetch.card_of_repository("maker/whole", endpoint=hub.endpoint)
    assert {file.path: file.part for file in card.files}["tokenizer/merges.txt"] == "tokenizer"
    assert store.diffusers_folder(card) == where
    before = len(hub.requests)
    assert fetch.fetch_repository("maker/whole", endpoint=hub.endpoint) == where
    assert len(hub.requests) == before, "once complete, no network is needed"
    (where / "model_index.json").write_bytes(b'{"changed": 1}')
    fetch.fetch_repository("maker/whole", endpoint=hub.endpoint)
    assert (where / "model_index.json").read_bytes() == b"{}"


def test_a_repository_of_loose_files_is_refused(hub):
    with pytest.raises(CheckpointError, match=r"holds no model_index\.json"):
        fetch.fetch_repository(OWN, endpoint=hub.endpoint)


def test_what_ships_with_the_package_has_nothing_to_fetch():
    with pytest.raises(CheckpointError, match="comes with motionloom"):
        fetch.fetch(model(files=(), installed=True))


def test_folders(monkeypatch, tmp_path):
    monkeypatch.delenv("MOTIONLOOM_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert fetch.models_folder() == tmp_path / "data" / "motionloom" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch.models_folder() == tmp_path / ".local" / "share" / "motionloom" / "models"
    monkeypatch.setenv("MOTIONLOOM_MODELS", "~/weights")
    assert fetch.repository_folder("a/b") == tmp_path / "weights" / "a--b"
