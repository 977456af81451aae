"""The studio's page goes into the wheel and the sdist as it is built, so that installing needs no Node.

It is built here when its sources changed. Without a Node on the PATH, one from PyPI comes as a build dependency.
``MOTIONLOOM_SKIP_CLIENT=1`` builds without the page; editable installs do so always (``make client`` builds it then).
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StudioPage(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node as a build dependency, where the page has to be built and the system has none."""
        client = self._client()
        if os.environ.get("MOTIONLOOM_SKIP_CLIENT") or client is None or not client.is_stale():
            return []
        try:
            client.find_node()
        except client.NodeMissing:
            return [client.NODE_PACKAGE]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page, or leave it out where that was asked for."""
        page = Path(self.root, "src", "motionloom", "studio", "static")
        if os.environ.get("MOTIONLOOM_SKIP_CLIENT"):
            self.app.display_warning("MOTIONLOOM_SKIP_CLIENT: the studio's page is not built anew")
            return
        if version == "editable":
            return
        client = self._client()
        if client is not None:
            try:
                client.build()
            except client.BuildError as error:
                raise SystemExit(f"{error}\nor leave the page out: MOTIONLOOM_SKIP_CLIENT=1") from None
        elif not (page / "index.html").is_file():
            raise SystemExit(f"{page} holds no page and its sources are not here; build from a clone or the sdist")

    def _client(self) -> ModuleType | None:
        file = Path(self.root, "src", "motionloom", "studio", "client", "build.py")
        if not file.is_file():
            return None
        spec = importlib.util.spec_from_file_location("motionloom_studio_page", file)
        if spec is None or spec.loader is None:
            raise SystemExit(f"{file} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look their own module up
        spec.loader.exec_module(module)
        return module
