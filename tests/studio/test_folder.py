"""One server for each data folder."""

import os
import subprocess
import sys

import pytest

from motionloom.errors import InputError
from motionloom.studio.folder import FolderLock


def test_the_second_one_is_told_who_has_it(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire("http://127.0.0.1:7860/")
    with pytest.raises(InputError) as caught:
        second.acquire()
    assert f"process {os.getpid()}, http://127.0.0.1:7860/" in str(caught.value)
    assert "--data-dir" in str(caught.value)
    first.release()
    second.acquire()


def test_the_system_lets_go_of_it_when_its_holder_is_killed(tmp_path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom motionloom.studio.folder import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "held"
    FolderLock(tmp_path).acquire()


@pytest.mark.skipif(os.name == "nt", reason="permissions are other ones there")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: cannot be written to .*--data-dir"):
        FolderLock(tmp_path / "file").acquire()


def test_the_lock_is_held_while_the_app_runs(app, settings):
    from starlette.testclient import TestClient

    with TestClient(app, base_url="http://127.0.0.1:7860"), pytest.raises(InputError, match="another studio"):
        FolderLock(settings.data).acquire()
    FolderLock(settings.data).acquire()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_new_data_folder_is_for_its_owner_alone_and_one_that_is_there_stays_as_it_is(tmp_path):
    lock = FolderLock(tmp_path / "new")
    lock.acquire()
    lock.release()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    FolderLock(shared).acquire()
    assert shared.stat().st_mode & 0o777 == 0o755
