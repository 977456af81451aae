"""motionloom studio: options that are refused before anything starts."""

import sys

import pytest

from motionloom.cli import run


def refused(capsys, *arguments, code=2):
    assert run(["studio", *arguments]) == code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--token", "short"], "--token: found 5 characters, expected 16 to 512"),
        (["--device", "gpu"], "--device: found 'gpu', expected auto, cpu, mps, cuda or cuda:N"),
        (["--no-worker", "--device", "cpu"], "--no-worker: found --device as well"),
        (["--model", "no/such/folder"], "--model no/such/folder: no such folder"),
        (["--host", "203.0.113.7"], "--host 203.0.113.7: cannot listen there"),
        (["--port", "0"], "--port"),
    ],
)
def test_options_that_cannot_be_are_refused(capsys, tmp_path, arguments, message):
    assert message in refused(capsys, "--data-dir", str(tmp_path), *arguments)


def test_a_short_token_of_the_environment_is_named_as_that(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_STUDIO_TOKEN", "short")
    assert "MOTIONLOOM_STUDIO_TOKEN: found 5 characters" in refused(capsys, "--data-dir", str(tmp_path))


def test_a_folder_without_a_model_is_refused(capsys, tmp_path):
    assert str(tmp_path) in refused(capsys, "--data-dir", str(tmp_path / "d"), "--model", str(tmp_path), code=1)


def test_a_data_folder_in_use_is_refused(capsys, tmp_path):
    from motionloom.studio.folder import FolderLock

    lock = FolderLock(tmp_path)
    lock.acquire("http://127.0.0.1:7860/")
    assert "another studio is using this data folder" in refused(capsys, "--data-dir", str(tmp_path))
    lock.release()


def test_without_the_extra_it_says_what_to_install(capsys, tmp_path, monkeypatch):
    # Only the module that needs it is read anew: others keep what they have of its package.
    monkeypatch.delitem(sys.modules, "motionloom.studio.serve", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    message = refused(capsys, "--data-dir", str(tmp_path), code=1)
    assert "pip install 'motionloom[studio]'" in message
    assert "uvicorn" in message
