from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from motionloom.errors import CheckpointError, InputError
from motionloom.models import pipelines
from motionloom.models.catalog import find_model, list_models
from motionloom.models.checkpoints.layouts import Place
from motionloom.models.checkpoints.source import TensorSource
from motionloom.models.digest import digest_of
from motionloom.models.loading import load
from motionloom.models.pipeline_parts import dtype_for, load_part


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def edit_index(folder: Path, **changes: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_catalogue_names_what_ships():
    cards = {card.name: card for card in list_models()}
    assert {"warp", "nano"} <= set(cards)
    assert cards["nano"].installed
    assert 1_000_000 < cards["nano"].size_on_disk < 24_000_000
    assert all(card.licence and card.methods for card in cards.values())
    with pytest.raises(InputError, match="found 'wrap', expected one of warp, nano"):
        find_model("wrap")


def test_folder_loads_and_the_path_may_be_text(tiny_folder: Path):
    model = load(tiny_folder, method="wan_move")
    assert model.method == "wan_move"
    assert model.card.native_size == (128, 128)
    assert model.card.num_frames == 17
    assert load(str(tiny_folder)).method == "ati"
    assert model.digest == digest_of(tiny_folder)


def test_digest_follows_the_weights_not_the_notes(copy: Path):
    before = digest_of(copy)
    (copy / "training.json").write_text("{}")
    assert digest_of(copy) == before
    path = copy / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["mean"] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    assert digest_of(copy) != before


def test_stock_diffusers_opens_the_folder(tiny_folder: Path):
    from diffusers import UniPCMultistepScheduler, WanTransformer3DModel

    transformer = WanTransformer3DModel.from_pretrained(tiny_folder / "transformer")
    assert transformer.config.in_channels == 28
    scheduler = UniPCMultistepScheduler.from_pretrained(tiny_folder / "scheduler")
    assert scheduler.config.prediction_type == "sample"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vae": ["os", "system"]}, "wants code from 'os'"),
        ({"vae": ["diffusers.utils", "import_utils"]}, "wants code from"),
        ({"vae": ["diffusers", "NoSuchThing"]}, "no component 'NoSuchThing'"),
        ({"_class_name": "FluxPipeline"}, "holds a FluxPipeline, expected a WanImageToVideoPipeline"),
        ({"transformer": [None, None]}, "names no transformer"),
        ({"text_encoder": ["transformers", "UMT5EncoderModel"]}, "text_encoder: missing"),
    ],
)
def test_refuses_other_folders(copy: Path, change: dict[str, object], message: str):
    edit_index(copy, **change)
    with pytest.raises(CheckpointError, match=message):
        load(copy)


def test_misfit_weights_are_refused_with_their_names(copy: Path):
    path = copy / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["blocks.0.attn9.to_q.weight"] = tensors.pop("blocks.0.attn1.to_q.weight")
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError) as caught:
        load(copy)
    assert "blocks.0.attn1.to_q.weight" in str(caught.value)
    assert "blocks.0.attn9.to_q.weight" in str(caught.value)


def test_wrong_shapes_are_refused(copy: Path):
    path = copy / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["proj_out.weight"] = torch.zeros(3, 3)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"proj_out\.weight"):
        load(copy)


def test_truncated_weights_are_one_line(copy: Path):
    path = copy / "transformer" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError) as caught:
        load(copy)
    assert "\n" not in str(caught.value)


def test_missing_folder_and_broken_index(tmp_path: Path, copy: Path):
    with pytest.raises(CheckpointError, match="no such folder"):
        load(tmp_path / "nowhere")
    (copy / "model_index.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not JSON"):
        load(copy)
    (copy / "model_index.json").unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        load(copy)


def test_unknown_name_and_method(tiny_folder: Path):
    with pytest.raises(InputError, match="expected one of warp, nano"):
        load("nanu")
    with pytest.raises(InputError, match="knows ati, wan_move, time_to_move, found 'tora'"):
        load(tiny_folder, method="tora")


def test_a_name_of_the_catalogue_is_not_a_folder_that_is_called_so(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, "nano")
    assert load("nano").digest == digest_of(Path(str(find_model("nano").folder)))
    assert load("./nano").digest == load(Path("nano")).digest == digest_of(tiny_folder)
    with pytest.raises(InputError, match="base: found 'nanno', expected one of warp, nano"):
        load("nano", base="nanno")


def test_hub_id_in_the_cache_of_the_hub_asks_no_network(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch):
    def snapshot_download(hub_id: str, *, local_files_only: bool) -> str:
        assert local_files_only
        return str(tiny_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    model = load("somebody/some-model.v2", method="ati")
    assert model.name == "somebody/some-model.v2"
    assert model.digest == digest_of(tiny_folder)


def test_hub_id_is_fetched(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An incomplete copy in the hub's cache is not enough."""
    partial = tmp_path / "partial"
    partial.mkdir()
    shutil.copy(tiny_folder / "model_index.json", partial)
    asked = []

    def fetch_repository(repo: str, *, on_progress: Callable[[int, int], object]) -> Path:
        on_progress(3, 10)
        asked.append(repo)
        return tiny_folder

    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda hub_id, local_files_only: str(partial))
    monkeypatch.setattr("motionloom.models.fetch.fetch_repository", fetch_repository)
    assert load("somebody/model").digest == digest_of(tiny_folder)
    assert asked == ["somebody/model"]


def test_hub_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"somebody/model: the hub cannot be reached .* give the path of its"):
        load("somebody/model")


@pytest.mark.parametrize("part", ["tokenizer", "image_processor"])
def test_code_in_a_folder_is_neither_run_nor_offered_to_run(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kind = {"tokenizer": "AutoTokenizer", "image_processor": "AutoImageProcessor"}[part]
    folder = tmp_path / part
    folder.mkdir()
    entry = ["evil.Evil", None] if part == "tokenizer" else "evil.Evil"
    described = json.dumps({"auto_map": {kind: entry}, "tokenizer_class": "Evil", "image_processor_type": "Evil"})
    for name in ("tokenizer_config.json", "preprocessor_config.json", "tokenizer.json"):
        (folder / name).write_text(described)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the person was asked"))
    with pytest.raises(CheckpointError, match=str(folder)):
        load_part(Place(part, folder, component=("transformers", kind)))
    assert not (tmp_path / "ran").exists()


def test_repository_of_the_catalogue_is_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    with pytest.raises(CheckpointError, match="motionloom models fetch ati-14b"):
        load("bytedance-research/ATI")


def test_warp_takes_no_weights():
    with pytest.raises(InputError, match="base: warp has no weights"):
        load("warp", base="nano")
    assert load("warp").method == "warp"


@pytest.mark.parametrize(
    ("stored", "size", "device", "expected"),
    [
        (torch.float32, 10, "cpu", torch.float32),
        (torch.float16, 10, "cpu", torch.float32),
        (torch.float32, 10, "cuda", torch.float32),
        (torch.float16, 10, "cuda", torch.bfloat16),
        (torch.float32, 1_000_000_000, "cuda", torch.bfloat16),
        (torch.bfloat16, 1_000_000_000, "cpu", torch.bfloat16),
        (torch.float8_e4m3fn, 1_000_000_000, "cpu", torch.bfloat16),
    ],
)
def test_types_of_transformers(stored: torch.dtype, size: int, device: str, expected: torch.dtype):
    source = TensorSource.of({"blocks.0.weight": torch.zeros(1).to(stored).expand(size)})
    assert dtype_for(source, device) == expected


@pytest.mark.parametrize(
    ("part", "config"),
    [("text_encoder", {"d_model": 12}), ("vae", {"z_dim": 8}), ("image_encoder", {"hidden_size": 24})],
)
def test_parts_of_different_models_are_named(part: str, config: dict):
    """What would end in a product of matrices that do not fit, some minutes later."""
    transformer = SimpleNamespace(config={"text_dim": 8, "out_channels": 16, "image_dim": 16})
    parts = {"transformer": transformer, part: SimpleNamespace(config=SimpleNamespace(**config))}
    with pytest.raises(CheckpointError, match=f"from the {part} .* they belong to different models"):
        pipelines._wan(parts, boundary_ratio=None, expand_timesteps=False)
