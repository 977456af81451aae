"""Files made to harm: every one is a one-line error, quickly, in bounded memory, and nothing in them runs."""

import io
import json
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.errors import FileFormatError, InputError, MotionloomError
from motionloom.tracks.formats import read_tracks, write_tracks
from motionloom.tracks.formats.source import npz_bytes
from motionloom.tracks.tracks import Tracks

SAID = {"size": (480, 832), "fps": 16, "num_frames": 8}
HUGE = 10**12


class Runs:
    """A pickled object that runs a command when it is loaded."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def npy_claiming(shape, dtype="<f4", version=(1, 0)):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(header)) + header


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def torch_zip(pickled):
    return zip_of({"a/data.pkl": pickled, "a/version": b"3\n"}, zipfile.ZIP_STORED)


def array_pickle(shape, raw=b"1234", dtype="f4"):
    """A pickle of a numpy array that declares another shape than its bytes have."""
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01"
        + pickle.dumps(shape, 2)[2:-1]
        + b"cnumpy\ndtype\nU"
        + bytes([len(dtype)])
        + dtype.encode()
        + b"\x89\x88\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + b"B"
        + struct.pack("<I", len(raw))
        + raw
        + b"tb."
    )


def hostile_files(command):
    bomb = npz_bytes({"tracks": np.zeros((1, 1, 1, 2), np.float32)}, compress=True)
    big_member = zip_of({"tracks.npy": npy_claiming((100_000_000, 2)) + bytes(800_000_000 // 8)})
    text = io.BytesIO()
    torch.save({"weights": torch.zeros(3), "code": Runs(command)}, text)
    return {
        "huge.npy": npy_claiming((HUGE, 2, 2)) + bytes(64),
        "negative.npy": npy_claiming((-5, 2, 2)) + bytes(64),
        "truncated.npy": npy_claiming((100, 4, 2)) + bytes(64),
        "object.npy": npy_claiming((1, 1, 2), "|O") + pickle.dumps(Runs(command)),
        "overflow.npy": npy_claiming((2**40, 2**40, 2)) + bytes(64),
        "nested.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000,
        "header.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 100,
        "bomb.npz": big_member,
        "truncated.npz": bomb[: len(bomb) // 2],
        "object.npz": zip_of({"tracks.npy": npy_claiming((1, 1, 2), "|O") + pickle.dumps(Runs(command))}),
        "claim.npz": zip_of({"tracks.npy": npy_claiming((HUGE, 1, 2))}),
        "code.pkl": pickle.dumps({"a": Runs(command)}, 4),
        "one.pkl": b"\x80",
        "code0.pkl": b"\x80\x02" + pickle.dumps(Runs(command), 0),
        "eval.pkl": b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        "build.pkl": b"\x80\x02cnumpy\nndarray\n}b.",
        "memo.pkl": b"\x80\x02K\x01r\xff\xff\xff\xff.",
        "bytes.pkl": b"\x80\x04\x8e" + struct.pack("<Q", HUGE) + b"abc.",
        "bytearray.pkl": b"\x80\x05\x96" + struct.pack("<Q", HUGE) + b"abc.",
        "frame.pkl": b"\x80\x04\x95" + struct.pack("<Q", HUGE) + b"N.",
        "steps.pkl": b"\x80\x04" + b"\x8f" * 3_000_000 + b".",
        "long.pkl": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
        "shape.pkl": array_pickle((HUGE, 2)),
        "bigshape.pkl": array_pickle((2**62, 2**62, 0)),
        "objects.pkl": array_pickle((1,), dtype="O8"),
        "truncated.pkl": pickle.dumps({"a": {"points": np.ones((2, 3, 2))}})[:-40],
        "code.pth": text.getvalue(),
        "plain.pth": torch_zip(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."),
        "nozip.pth": torch_zip(pickle.dumps(b"PK\x03\x04" + bytes(100), 2)),
        "inner.pth": torch_zip(pickle.dumps(zip_of({"array.npy": npy_claiming((HUGE, 121, 1, 3))}), 2)),
        "bomb.pth": torch_zip(pickle.dumps(zip_of({"array.npy": npy_claiming((9, 121, 1, 3)) + bytes(99 << 20)}), 2)),
        "legacy.pth": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + pickle.dumps(Runs(command), 2) * 3,
        "header.safetensors": struct.pack("<Q", 2**60) + b'{"__metadata__":{"format":"motionloom.tracks"}}',
        "offsets.safetensors": _safetensors({"points": ("F32", [HUGE, 1, 2], [0, 8 * HUGE])}),
        "deep.json": b"[" * 100_000,
        "deep_kj.json": b'[[{"x":1,"y":2}' + b",[" * 50_000,
        "lists.json": b'[{"points":[' + b"[]," * 4_000_000 + b'[]], "x": 1}]',
        "number.json": b'[{"x":' + b"9" * 1_000_000 + b',"y":1}]',
        "infinite.json": b'[{"x":Infinity,"y":NaN}]',
        "latin.json": b'[{"x":1,"y":2,"\xff":3}]',
        "latin.txt": b"1,2\n\xff\xfe,3\n" * 1000,
        "frames.ae.txt": b"Adobe After Effects 8.0 Keyframe Data\n\n\tUnits Per Second\t24\n\tSource Width\t9\n"
        b"\tSource Height\t9\n\nTransform\tPosition\n\tFrame\tX pixels\tY pixels\n\t999999999999\t1\t2\n",
        "infinite.ae.txt": b"Adobe After Effects 8.0 Keyframe Data\n\n\tUnits Per Second\t24\n\tSource Width\t9\n"
        b"\tSource Height\t9\n\nTransform\tPosition\n\tFrame\tX pixels\tY pixels\n\t1e999\t1\t2\n",
        "sparse.ae.txt": b"Adobe After Effects 8.0 Keyframe Data\n\n\tUnits Per Second\t24\n\tSource Width\t9\n"
        b"\tSource Height\t9\n\n" + b"Transform\tPosition\n\tFrame\tX pixels\tY pixels\n\t99999\t1\t2\n\n" * 20_000,
        "uneven.json": b"[[" + b",".join([b'{"x":1,"y":2}'] * 90_000) + b"]" + b',[{"x":1,"y":2}]' * 90_000 + b"]",
        "sparse.csv": b"track,frame,x,y,mute\n" + b"".join(b"%d,%d,0,0,0\n" % (k, k) for k in range(9000)),
        "nanframe.csv": b"track,frame,x,y,mute\na,1,0,0,0\na,nan,0,0,0\n",
        "frames.csv": b"track,frame,x,y,mute\na,1,0,0,0\na,999999999999,0,0,0\n",
        "nan.csv": b"track,frame,x,y,mute\n1,1,nan,0,0\n",
        "poses.txt": b"url\n" + b"0 1 1 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 nan 0\n",
    }


def test_few_key_points_do_not_become_endless_frames(tmp_path):
    """Paths that a duration, or the longest among them, would spread over more positions than memory should hold."""
    still = ",".join(["[[1, 1]]"] * 1000)
    starts = ",".join(["[1, 1]"] * 1000)
    boxes = ",".join(["[0, 0, 9, 9]"] * 1000)
    long = ",".join(["[1, 1]"] * 50_000)
    (tmp_path / "long.json").write_text(f'{{"points": [{starts}], "trajectories": [{still}], "duration": 6000}}')
    (tmp_path / "boxes.json").write_text(f'{{"bounding_box": [{boxes}], "center_traj": [[{long}]{",[[1,1]]" * 999}]}}')
    for name in ("long.json", "boxes.json"):
        with pytest.raises(FileFormatError, match=r"1000 tracks over \d+ frames are more than fit"):
            read_tracks(tmp_path / name, size=(9, 9))
    few = Tracks(np.zeros((2, 1000, 2)), np.ones((2, 1000), bool), (9, 9), 8)
    with pytest.raises(InputError, match="num_frames: 1000 tracks over 90000 frames"):
        read_tracks(write_tracks(few, tmp_path / "a.tracks.safetensors")[0], num_frames=90_000)


def _safetensors(tensors):
    header = {"__metadata__": {"format": "motionloom.tracks", "version": "1", "height": "9", "width": "9", "fps": "1"}}
    header |= {name: {"dtype": d, "shape": s, "data_offsets": o} for name, (d, s, o) in tensors.items()}
    data = json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("hostile")
    for name, content in hostile_files(f"touch {place}/ran").items():
        (place / name).write_bytes(content)
    return place


NAMES = list(hostile_files("true"))


@pytest.mark.parametrize("name", NAMES)
def test_refused_in_one_line_and_quickly(name, folder):
    start = time.perf_counter()
    with pytest.raises(MotionloomError) as caught:
        read_tracks(folder / name, **SAID)
    assert time.perf_counter() - start < 3
    message = str(caught.value)
    assert name in message
    assert "\n" not in message
    assert len(message) < 400
    assert not (folder / "ran").exists()


@pytest.mark.slow
def test_the_pickles_here_would_run_if_loaded_the_usual_way(tmp_path):
    content = hostile_files(f"touch {tmp_path}/ran")["code.pkl"]
    assert "system" in {argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)}
    pickle.loads(content)
    assert (tmp_path / "ran").exists()


@pytest.mark.slow
def test_memory_stays_bounded(folder):
    """All of them in one process that may take no more than 600 MB on top of what it starts with."""
    program = """
import resource, sys
from pathlib import Path
from motionloom.errors import MotionloomError
from motionloom.tracks.formats import read_tracks
import numpy, pydantic_core, safetensors.numpy, yaml
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), used + (2 << 30)))
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_tracks(path, size=(480, 832), fps=16, num_frames=8)
        raise SystemExit(f"{path} was read")
    except MotionloomError:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 600, f"peak of {done.stdout} MB"
    assert not (Path(folder) / "ran").exists()
