"""The studio in a browser. Without Node (or a built page) or a Chromium these tests are skipped and say what to
install; ``MOTIONLOOM_REQUIRE_BROWSER=1`` makes that a failure."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(Path(__file__).parent))

from studio_driver import CHROMIUM_FLAGS, Server, find_chromium  # noqa: E402
from studio_page import Editor, Watched  # noqa: E402


def missing(reason):
    """Skips, or fails where everything has to be there."""
    if os.environ.get("MOTIONLOOM_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def built_page():
    """The page as its sources are now."""
    spec = importlib.util.spec_from_file_location("studio_client_build", ROOT / "src/motionloom/studio/client/build.py")
    build = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = build
    spec.loader.exec_module(build)
    try:
        build.build()
    except build.NodeMissing as error:
        missing(str(error))
    return build.PAGE


@pytest.fixture(scope="module")
def chromium():
    """A running Chromium. Not for the session: while Playwright is there nobody else can run an event loop."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        missing("the studio's tests need Playwright: pip install -c constraints.txt -e '.[dev]'")
    program = find_chromium()
    if program is None:
        missing(
            "the studio's tests need Chromium, found none in $CHROMIUM, on the PATH or of Playwright; install it, as "
            f"by `apt install chromium` or `{sys.executable} -m playwright install chromium`"
        )
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        except Error as error:
            missing(f"{program} does not start: {error}")
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_studio(built_page, tmp_path_factory):
    """One server with one worker for the tests that harm nobody."""
    server = Server(tmp_path_factory.mktemp("studio") / "data")
    with server:
        yield server


@pytest.fixture
def studio(shared_studio):
    return shared_studio


@pytest.fixture
def own_studio(built_page, tmp_path):
    """Makes servers over data folders of their own, for tests that kill them."""
    servers = []

    def make(**settings):
        servers.append(Server(tmp_path / f"data-{len(servers)}", **settings))
        return servers[-1].start()

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def open_page(chromium, request):
    """Opens pages in windows of their own; after the test nothing may have gone wrong in any of them."""
    windows, watched = [], []

    def make(server, *, path="/", expected=(), context=None, **options):
        if context is None:
            options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
            context = chromium.new_context(base_url=server.url, accept_downloads=True, **options)
            context.set_default_timeout(15_000)
            windows.append(context)
        page = context.new_page()
        watched.append(Watched(page, expected))
        page.goto(path)
        return Editor(page, server)

    yield make
    problems = [problem for one in watched for problem in one.problems]
    folder = os.environ.get("MOTIONLOOM_SCREENSHOTS")
    for number, window in enumerate(windows):
        if folder:
            for page in window.pages:
                page.screenshot(path=Path(folder) / f"{request.node.name}-{number}.png")
        window.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def editor(studio, open_page):
    """The example of the cat, opened; nothing drawn on it."""
    return open_page(studio).open_new("cat")
