from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from motionloom.models.checkpoints import source
from motionloom.models.checkpoints.readers import SafetensorsFile, open_file

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
DTYPES += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_every_type_comes_back(wan: SimpleNamespace, tmp_path: Path, suffix: str) -> None:
    tensors = {str(dtype): torch.arange(-3, 5).reshape(2, 4).to(dtype) for dtype in DTYPES}
    tensors |= {"none": torch.zeros(0, 3), "number": torch.tensor(2.5)}
    reader = open_file(wan.save_weights(tensors, tmp_path / f"all{suffix}"))
    assert reader.tensors.keys() == tensors.keys()
    for key, tensor in reader.read(list(tensors)):
        assert tensor.dtype == tensors[key].dtype == reader.tensors[key].dtype
        assert tensor.shape == tensors[key].shape == reader.tensors[key].shape
        assert tensor.nbytes == reader.tensors[key].nbytes
        assert torch.equal(tensor.double(), tensors[key].double())


def test_headers_of_odd_length_are_read(tmp_path: Path) -> None:
    values = torch.arange(6, dtype=torch.float32)
    header = json.dumps({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}}).encode()
    for pad in range(8):
        text = header + b" " * pad
        path = tmp_path / f"{pad}.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + values.numpy().tobytes())
        ((_, tensor),) = open_file(path).read(["a"])
        assert torch.equal(tensor, values)


def test_header_text_is_kept(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors", metadata={"format": "pt", "who": "me"})
    assert open_file(tmp_path / "m.safetensors").metadata == {"format": "pt", "who": "me"}


def test_a_file_larger_than_memory_is_mapped_in_parts(wan: SimpleNamespace, tmp_path: Path) -> None:
    path = wan.sparse_safetensors(tmp_path / "huge.safetensors", {"a": (1 << 20, 1 << 17), "b": (3,)})
    assert path.stat().st_size > 1 << 39
    reader = open_file(path)
    assert reader.tensors["a"].nbytes == 1 << 39
    assert [(key, tensor.tolist()) for key, tensor in reader.read(["b"])] == [("b", [0, 0, 0])]


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def test_cut_short(wan: SimpleNamespace, tmp_path: Path, refused: Callable[..., str]) -> None:
    tensors = {"a": torch.ones(1000), "b": torch.ones(1000)}
    whole = wan.save_weights(tensors, tmp_path / "m.safetensors").stat().st_size
    message = refused(open_file, cut(tmp_path / "m.safetensors", 5000))
    assert f"5,000 of {whole:,} bytes are there" in message
    assert "finish the download" in message
    assert "its header alone has" in refused(open_file, cut(tmp_path / "m.safetensors", 40))
    wan.save_weights(tensors, tmp_path / "m.pth")
    assert "cut short" in refused(open_file, cut(tmp_path / "m.pth", 5000))
    wan.save_weights(tensors, tmp_path / "m.safetensors")
    with (tmp_path / "m.safetensors").open("ab") as file:
        file.write(b"more")
    assert "4 bytes after its last tensor" in refused(open_file, tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.safetensors", b"", "is empty"),
        ("m.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        ("m.safetensors", b"\n <!DOCTYPE html><html><head>", "is a web page"),
        ("m.pth", b'{"error":"Invalid username or password."}', "needs a login"),
        ("m.gguf", b"Entry not found", "is a web page or an error message"),
        ("m.safetensors", b"PK\x03\x04" + bytes(100), "rename it to m.pth"),
        ("m.safetensors", b"GGUF" + bytes(100), "rename it to m.gguf"),
        ("m.gguf", bytes(100), "is not a GGUF file"),
        ("m.safetensors", b"\xff" * 100, "is not a safetensors file"),
        ("m.safetensors", (20).to_bytes(8, "little") + b"x" * 20, "its header is not that of a safetensors file"),
        ("m.pth", b"\x00" * 100, "is not a torch file"),
        ("m.onnx", b"\x08\x07" * 100, "found .onnx, expected .safetensors"),
        ("m.safetensors.part", b"\x08\x07" * 100, "is an unfinished download (.part)"),
    ],
)
def test_what_is_no_file_of_weights(
    tmp_path: Path, refused: Callable[..., str], name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    message = refused(open_file, tmp_path / name)
    assert says in message
    assert message.startswith(str(tmp_path / name))


def test_a_missing_file_names_its_unfinished_download(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "no such file, expected weights" in refused(open_file, tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors.aria2").touch()
    assert "m.safetensors.aria2 beside it is an unfinished download" in refused(open_file, tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-8, -4]},
    ],
)
def test_headers_that_lie(tmp_path: Path, refused: Callable[..., str], entry: dict[str, Any]) -> None:
    text = json.dumps({"a": entry}).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(max(entry["data_offsets"][1], 0)))
    message = refused(SafetensorsFile, path)
    assert ("type F4" in message) or ("damaged" in message)


class Evil:
    def __reduce__(self) -> Any:
        return print, ("this ran",)


@pytest.mark.parametrize("zipped", [True, False])
def test_objects_that_would_run_code_are_refused(
    tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str], zipped: bool
) -> None:
    torch.save({"a": torch.ones(2), "b": Evil()}, tmp_path / "m.pth", _use_new_zipfile_serialization=zipped)
    message = refused(open_file, tmp_path / "m.pth")
    assert "would run code" in message
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    refused(open_file, tmp_path / "plain.pt")
    assert "this ran" not in capsys.readouterr().out


def test_torch_files_of_both_ages(tmp_path: Path, refused: Callable[..., str]) -> None:
    for zipped in (True, False):
        torch.save({"a": torch.ones(2), "step": 3}, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
        assert [(key, tensor.tolist()) for key, tensor in open_file(tmp_path / "m.pt").read(["a"])] == [("a", [1, 1])]
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    assert "holds no tensors by name, found list" in refused(open_file, tmp_path / "list.pt")
    torch.save({"epoch": 1}, tmp_path / "none.pt")
    assert "found epoch" in refused(open_file, tmp_path / "none.pt")


@pytest.mark.parametrize(("zipped", "reads"), [(True, 4), (False, 2)])
def test_files_that_cannot_be_mapped_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, reads: int
) -> None:
    """Opening is one read; three windows are three more, or one where each would be of the whole file."""
    torch.save({str(n): torch.ones(100) for n in range(3)}, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    monkeypatch.setattr(source, "WINDOW", 400)
    calls: list[Path] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **options: (calls.append(path), load(path, **options))[1])
    assert len(list(source.open_source(tmp_path / "m.pt"))) == 3
    assert len(calls) == reads
