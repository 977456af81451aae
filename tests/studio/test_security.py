"""One test for every rule about who may ask, and about what answers may do."""

import asyncio
import dataclasses
import os
import time

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from motionloom.errors import InputError
from motionloom.studio import security, tokens
from motionloom.studio.app import create_app
from motionloom.studio.previews import PreviewService
from motionloom.studio.problems import Refused
from motionloom.studio.settings import StudioSettings

TOKEN = "a-token-that-is-long-enough"
BASE = "http://127.0.0.1:7860"


def client_of(settings, base=BASE, **options):
    return TestClient(create_app(settings), base_url=base, raise_server_exceptions=False, **options)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One server for all of these tests; what it refuses leaves it as it was."""
    folder = tmp_path_factory.mktemp("guarded")
    app = create_app(StudioSettings(folder / "data", devices=(), static=folder / "no-page"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreviewService, "warm_up", lambda self: None)
        with TestClient(app, base_url=BASE + "/api/v1", raise_server_exceptions=False) as found:
            yield found


@pytest.fixture
def guarded(settings):
    """A client of a server that needs a token."""
    return client_of(dataclasses.replace(settings, token=TOKEN))


# -------------------------------------------------------------------------------------------------- DNS rebinding
def test_names_of_this_machine_are_answered(client):
    for host in ("localhost", "LOCALHOST:9000", "127.0.0.1", "127.0.0.1:80", "[::1]:7860", "127.8.8.8"):
        assert client.get("server", headers={"host": host}).status_code == 200, host


def test_other_names_are_refused_everywhere(client):
    others = (
        "evil.example",
        "evil.example:7860",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "192.168.1.5",
        "0.0.0.0",
    )
    for host in others:
        for address in ("server", BASE + "/", BASE + "/assets/x.js"):
            answer = client.get(address, headers={"host": host})
            assert answer.status_code == 421, (host, address)
            assert "--allow-host" in answer.json()["error"]["message"]


def test_host_headers_that_are_none_are_refused(client):
    for host in ("", "a b", "user@localhost", "localhost/x", "localhost:notaport", "[::1"):
        assert client.get("server", headers={"host": host}).status_code in (400, 421), host


def test_two_host_headers_are_refused(settings):
    headers = Headers(raw=[(b"host", b"localhost"), (b"host", b"evil.example")])
    with pytest.raises(Refused, match="once"):
        security.require_host(headers, settings, security.known_names(settings))


def test_announced_names_are_answered_and_wildcards_stand_for_names_below(settings):
    client = client_of(dataclasses.replace(settings, allowed_hosts=("studio.example.org", "*.proxy.example")))

    def get(host):
        return client.get("/api/v1/server", headers={"host": host}).status_code

    assert get("studio.example.org") == get("Studio.Example.org:443") == get("a.b.proxy.example") == 200
    assert get("proxy.example") == get("evilproxy.example") == get("x.studio.example.org") == 421


def test_a_server_for_others_answers_to_addresses_and_its_own_name_only(settings, monkeypatch):
    monkeypatch.setattr(security.socket, "gethostname", lambda: "Workstation")
    settings = dataclasses.replace(settings, host="0.0.0.0")
    for host in ("192.168.1.5:7860", "workstation", "workstation.local", "localhost"):
        security.require_host(Headers({"host": host}), settings, security.known_names(settings))
    with pytest.raises(Refused):
        security.require_host(Headers({"host": "rebound.example"}), settings, security.known_names(settings))


# ------------------------------------------------------------------------------------------------------------- CSRF
def test_pages_of_other_origins_are_refused_for_every_method(client, project):
    others = ("http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:7860", "file://")
    for origin in (*others, "http://127.0.0.1:7860.x", "http://user@127.0.0.1:7860/x", "http://127.0.0.1:7860/"):
        for method in ("POST", "DELETE", "PUT", "GET"):
            answer = client.request(method, f"projects/{project['id']}", headers={"origin": origin})
            assert answer.status_code == 403, (origin, method)
    assert client.get(f"projects/{project['id']}").json() == project


def test_the_event_stream_is_for_our_own_pages(client):
    assert client.get("events", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("events", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_our_own_pages_may_ask(client, project):
    headers = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert client.post(f"projects/{project['id']}/duplicate", headers=headers).status_code == 201


def test_our_own_pages_behind_a_proxy_that_speaks_https_may_ask(settings):
    client = client_of(dataclasses.replace(settings, allowed_hosts=("studio.example.org",)))

    def ask(origin):
        return client.get("/api/v1/server", headers={"host": "studio.example.org", "origin": origin}).status_code

    assert ask("https://studio.example.org") == ask("https://studio.example.org:443") == 200
    assert ask("https://studio.example.org:444") == ask("https://example.org") == 403


def test_the_browser_says_which_site_asks(client):
    for site in ("cross-site", "same-site", "CROSS-SITE", "nonsense"):
        assert client.get("server", headers={"sec-fetch-site": site}).status_code == 403, site


def test_forms_of_other_pages_cannot_be_taken_for_requests_of_ours(client):
    """What a plain form or a script without preflight can send is no JSON."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post("jobs", content=b"{}", headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported")


def test_no_page_of_another_origin_is_told_that_it_may(client):
    answer = client.options("server", headers={"origin": "http://evil.example", "access-control-request-method": "PUT"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


# ------------------------------------------------------------------------------------------------------------ token
def test_without_the_token_nothing_of_the_api_is_answered(guarded):
    for address in ("server", "projects", "openapi.json", "events", "nonsense"):
        answer = guarded.get(f"/api/v1/{address}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorised"), address
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert guarded.post("/api/v1/examples/rocket").status_code == 401


def test_who_is_refused_while_sending_sees_the_answer(settings):
    """A connection that is closed while its other end sends is reset, and the answer lost."""
    coming = [{"type": "http.request", "body": b"x" * 1000, "more_body": more} for more in (True, True, False)]
    sent = []

    async def receive():
        return coming.pop(0)

    async def send(message):
        assert coming == []
        sent.append(message)

    async def never(scope, receive, send):
        raise AssertionError("reached the app")

    guarded = dataclasses.replace(settings, token=TOKEN)
    gate = security.Gate(never, guarded, tokens.Tokens(TOKEN, 7860))
    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"3000"), (b"content-type", b"application/json")]
    path = "/api/v1/projects"
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    asyncio.run(gate(scope, receive, send))
    assert sent[0]["status"] == 401


def test_the_token_as_header(guarded):
    assert guarded.get("/api/v1/server", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.get("/api/v1/server", headers={"authorization": f"Basic {TOKEN}"}).status_code == 401


def test_the_token_for_a_cookie(guarded):
    answer = guarded.post("/api/v1/session", json={"token": TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    assert guarded.get("/api/v1/server").status_code == 200


def test_over_https_the_cookie_is_for_https_only(settings):
    guarded = client_of(dataclasses.replace(settings, token=TOKEN), base="https://127.0.0.1:7860")
    assert "; Secure" in guarded.post("/api/v1/session", json={"token": TOKEN}).headers["set-cookie"]


def test_the_address_with_the_token_becomes_one_without(guarded):
    answer = guarded.get(f"/?token={TOKEN}&project=1", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?project=1")
    assert answer.headers["cache-control"] == "no-store"
    assert guarded.get("/api/v1/server").status_code == 200


def test_wrong_tokens_open_nothing(guarded, monkeypatch):
    monkeypatch.setattr(tokens, "_FIRST_DELAY", 0.0)
    assert guarded.post("/api/v1/session", json={"token": TOKEN + "x"}).status_code == 401
    assert guarded.get("/?token=wrong", follow_redirects=False).status_code == 401
    assert guarded.get("/api/v1/server", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert guarded.get("/api/v1/server", headers={"authorization": "Bearer tökén".encode()}).status_code == 401
    guarded.cookies.set("motionloom-session-7860", "0" * 64)
    assert guarded.get("/api/v1/server").status_code == 401
    guarded.cookies.set("motionloom-session-7860", TOKEN)
    assert guarded.get("/api/v1/server").status_code == 401


def test_wrong_tokens_are_answered_ever_later_and_the_right_one_at_once(monkeypatch):
    delays = []

    async def note(seconds):
        delays.append(seconds)

    monkeypatch.setattr(tokens.asyncio, "sleep", note)
    found = tokens.Tokens(TOKEN, 7860)

    async def ask(token):
        await found.require(Headers({"authorization": f"Bearer {token}"}))

    async def run():
        for _ in range(500):
            with pytest.raises(Refused, match="not the token"):
                await ask("wrong")
        before = len(delays)
        await ask(TOKEN)
        assert len(delays) == before

    asyncio.run(run())
    assert delays[0] == 0.25
    assert delays == sorted(delays)
    assert delays[-1] == 4.0


def test_too_many_guesses_at_once_are_turned_away_but_not_the_owner(monkeypatch):
    found = tokens.Tokens(TOKEN, 7860)
    monkeypatch.setattr(tokens, "_FIRST_DELAY", 0.05)
    monkeypatch.setattr(tokens, "_LONGEST_DELAY", 0.05)

    async def run():
        guesses = [asyncio.create_task(found.refuse()) for _ in range(200)]
        await asyncio.sleep(0)
        started = time.monotonic()
        await found.require(Headers({"authorization": f"Bearer {TOKEN}"}))
        assert time.monotonic() - started < 0.04
        answers = await asyncio.gather(*guesses, return_exceptions=True)
        assert {error.status for error in answers} == {401, 429}

    asyncio.run(run())


def test_comparisons_take_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda *pair: compared.append(pair) or pair[0] == pair[1])
    found = tokens.Tokens(TOKEN, 7860)
    asyncio.run(found.require(Headers({"authorization": f"Bearer {TOKEN}"})))
    asyncio.run(found.require(Headers({"cookie": f"{found.cookie}={found.session}"})))
    assert compared == [(TOKEN.encode(),) * 2, (found.session.encode(),) * 2]


def test_the_token_is_not_shown_where_settings_are(tmp_path):
    assert TOKEN not in repr(StudioSettings(tmp_path, token=TOKEN))


def test_short_tokens_are_refused():
    with pytest.raises(InputError, match="--token: found 5 characters, expected 16"):
        tokens.checked_token("hello", "--token")
    with pytest.raises(InputError, match="without spaces"):
        tokens.checked_token("sixteen letters and more", "--token")
    assert tokens.checked_token(TOKEN, "--token") == TOKEN


def test_the_made_token_stays_the_same_and_is_for_its_owner_alone(tmp_path, monkeypatch):
    modes = []
    real = os.replace

    def named(source, target):
        modes.append(source.stat().st_mode & 0o077)
        real(source, target)

    monkeypatch.setattr(tokens.os, "replace", named)
    made = tokens.kept_token(tmp_path)
    assert modes == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
    assert len(made) >= 43
    assert tokens.kept_token(tmp_path) == made
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0
    (tmp_path / "token").write_text("x")
    assert tokens.kept_token(tmp_path) not in ("x", made)


# ---------------------------------------------------------------------------------------------------------- answers
def test_every_answer_lets_a_browser_do_only_what_the_page_needs(client):
    for address in ("server", "nonsense", "projects/0123456789abcdef", BASE + "/", BASE + "/x.js"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_answers_of_the_api_are_not_kept(client, project):
    assert client.get("projects").headers["cache-control"] == "no-store"
    image = client.get(f"projects/{project['id']}/image?v=1").headers["cache-control"]
    assert image == "private, max-age=31536000, immutable"


def test_refusals_carry_the_headers_too(guarded):
    for answer in (guarded.get("/api/v1/server"), guarded.get("/", headers={"host": "evil.example"})):
        assert answer.headers["x-content-type-options"] == "nosniff"


# ------------------------------------------------------------------------------------------------- shape of requests
def test_other_methods_are_refused(client):
    for method in ("TRACE", "CONNECT", "PATCH", "PROPFIND", "OPTIONS", "HEAD", "X"):
        answer = client.request(method, "server")
        assert answer.status_code == 405, method
        assert answer.headers["allow"] == "GET, POST, PUT, DELETE"
        if method == "HEAD":
            continue
        assert answer.json()["error"]["code"] == "bad_request"
    assert client.request("DELETE", BASE + "/").headers["allow"] == "GET, HEAD"


def test_long_addresses_are_refused(client):
    assert client.get("projects?x=" + "a" * 9_000).status_code == 414


def test_addresses_with_odd_characters_are_refused(client):
    for path in ("/api/v1/projects/%00", "/%0d%0aX-Injected:1", "/..%5cetc", "/%2e%2e/x", "/assets/%2e%2e/x"):
        answer = client.get(BASE + path)
        assert answer.status_code in (400, 404), path
        assert "x-injected" not in answer.headers


def test_other_protocols_are_refused(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://127.0.0.1:7860/api/v1/events"):
        pass
