import errno
import os
import stat

import numpy as np
import pytest
from safetensors.numpy import save_file

from motionloom.media.files import replacing


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("old")

    def stopped():
        with replacing(path) as temporary:
            assert temporary.suffix == ".txt"
            temporary.write_text("new, in par")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [each.read_text() for each in path.parent.iterdir()] == ["old"]


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_files_are_as_readable_as_other_new_files(tmp_path):
    """safetensors writes for the owner alone."""
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.safetensors") as temporary:
            save_file({"a": np.zeros(2)}, temporary)
        with replacing(tmp_path / "b.txt") as temporary:
            temporary.write_text("b")
    finally:
        os.umask(before)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {
        "a.safetensors": 0o640,
        "b.txt": 0o640,
    }


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
