"""Tora from every layout its files come in: the same model as one built by hand, and what is wrong is said."""

from __future__ import annotations

import json
import runpy
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from motionloom.errors import CheckpointError, InputError
from motionloom.models.catalog import find_model, list_models
from motionloom.models.checkpoints.layouts import find_layout
from motionloom.models.checkpoints.source import open_source
from motionloom.models.checkpoints.tora import find_tora_parts
from motionloom.models.checkpoints.tora_modules import shapes_of
from motionloom.models.loading import load
from motionloom.tracks.tracks import Tracks

tiny = runpy.run_path(str(Path(__file__).parents[1] / "tiny_tora.py"))
SLOW = pytest.mark.slow
PICTURE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)


class Saved(NamedTuple):
    """A tiny model, and the folder in which it lies in every layout."""

    folder: Path
    pipe: Any
    adapter: Any
    kind: str


def saved_model(folder: Path, kind: str) -> Saved:
    torch.set_num_threads(1)
    pipe = tiny["pipeline"](kind)
    adapter = tiny["adapter"](pipe)
    tag = "_I2V" if kind == "learned" else ""
    pipe.save_pretrained(folder / "base")
    tiny["save_diffusers"](folder / "diffusers", pipe, adapter)
    tiny["save_sat"](folder / "sat", pipe, adapter, **{"first_stage_model.encoder.conv_in.weight": torch.zeros(2)})
    tiny["save_addon"](folder / "addon", adapter, tag)
    for half in ("fuser", "traj_extractor"):  # as the community's nodes keep them
        (folder / "nodes" / half).mkdir(parents=True)
        shutil.copy(folder / "addon" / f"{half}{tag}.safetensors", folder / "nodes" / half)
    adapter.save_pretrained(folder / "own")
    return Saved(folder, pipe, adapter, kind)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Text to video."""
    return saved_model(tmp_path_factory.mktemp("text"), "t2v")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Image to video."""
    return saved_model(tmp_path_factory.mktemp("image"), "learned")


@pytest.fixture(params=["text", "image"])
def saved(request: pytest.FixtureRequest) -> Saved:
    return request.getfixturevalue(request.param)


def with_other_transformer(saved: Saved, tmp_path: Path) -> Path:
    """The base with other weights in its transformer, which must not be taken."""
    folder = Path(shutil.copytree(saved.folder / "base", tmp_path / "other"))
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({key: tensor + 1 for key, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    return folder


def tracks() -> Tracks:
    points = np.linspace((6, 6), (26, 20), 9)[:, None].astype(np.float32)
    return Tracks(points, np.ones((9, 1), np.bool_), (32, 32), 8.0)


def frames(model: Any, motion: Tracks | None) -> np.ndarray:
    photograph = PICTURE if model.takes_image else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no text encoder
        return model.generate(photograph, motion, num_frames=9, num_inference_steps=2, size=(32, 32)).frames


def same(found: Any, expected: Any) -> bool:
    mine, other = found.state_dict(), expected.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[key], other[key]) for key in mine)


@pytest.mark.parametrize("task", ["text", pytest.param("image", marks=SLOW)])
def test_a_whole_folder_of_the_authors(task, request):
    from motionloom.models.tora import ToraModel

    saved: Saved = request.getfixturevalue(task)
    seen: list[tuple[int, int]] = []
    model: Any = load(saved.folder / "diffusers", device="cpu", on_progress=lambda *at: seen.append(at))
    assert same(model.pipeline.transformer, saved.pipe.transformer)
    assert same(model.pipeline.adapter, saved.adapter)
    assert model.method == "tora"
    assert model.takes_image is (saved.kind == "learned")
    assert seen[-1][0] == seen[-1][1] > 0
    built: Any = ToraModel(saved.pipe, saved.adapter, model.card, name="built", digest="")
    clip = frames(model, tracks())
    assert np.array_equal(clip, frames(built, tracks()))
    assert not np.array_equal(clip, frames(model, None))


@pytest.mark.parametrize(
    ("task", "path"),
    [
        ("text", "diffusers/transformer"),
        ("text", "addon"),
        ("image", "sat"),
        ("image", "own"),
        pytest.param("text", "sat", marks=SLOW),
        pytest.param("text", "own", marks=SLOW),
        pytest.param("image", "diffusers/transformer", marks=SLOW),
        pytest.param("image", "addon", marks=SLOW),
    ],
)
def test_what_is_not_whole_takes_the_rest_from_its_base(task, path, request, tmp_path, recwarn):
    saved: Saved = request.getfixturevalue(task)
    inside = path.startswith(("diffusers", "sat"))
    base = with_other_transformer(saved, tmp_path) if inside else saved.folder / "base"
    model: Any = load(saved.folder / path, base=base, method="tora", device="cpu")
    assert same(model.pipeline.transformer, saved.pipe.transformer)
    assert same(model.pipeline.adapter, saved.adapter)
    assert same(model.pipeline.vae, saved.pipe.vae)
    assert model.takes_image is (saved.kind == "learned")
    assert model.card.methods == ("tora",)
    assert model.card.name == Path(path).name  # not that of a file inside
    assert not [warning for warning in recwarn if "add-on" in str(warning.message)]


@pytest.mark.parametrize("task", ["text", "image"])
def test_however_a_part_of_it_is_given_its_files_are_found(task, request):
    saved: Saved = request.getfixturevalue(task)
    tag = "_I2V" if task == "image" else ""
    halves = (f"fuser{tag}.safetensors", f"traj_extractor{tag}.safetensors")
    own, sat = "diffusion_pytorch_model.safetensors", "mp_rank_00_model_states.pt"
    for given, part, names in (
        ("sat", "transformer", (sat,)),
        ("sat/1", "transformer", (sat,)),
        (f"sat/1/{sat}", "transformer", (sat,)),
        ("addon", "adapter", halves),
        (f"addon/{halves[0]}", "adapter", halves),
        (f"addon/{halves[1]}", "adapter", halves[::-1]),
        ("nodes", "adapter", halves),
        ("nodes/fuser", "adapter", halves),
        (f"nodes/traj_extractor/{halves[1]}", "adapter", halves[::-1]),
        ("own", "adapter", (own,)),
        (f"own/{own}", "adapter", (own,)),
    ):
        layout = find_layout(saved.folder / given)
        assert tuple(path.name for path in layout.places[part].files) == names, given
        assert (layout.places[part].config is not None) is given.startswith("own"), given


@pytest.mark.parametrize("kind", ["safetensors", "sat", "shards"])
def test_a_transformer_is_known_by_what_it_holds_not_by_its_name(text, kind, tmp_path):
    published = text.folder / "diffusers" / "transformer" / "diffusion_pytorch_model.safetensors"
    if kind == "safetensors":
        shutil.copy(published, tmp_path / "tora.safetensors")
        shutil.copy(text.folder / "base" / "vae" / "diffusion_pytorch_model.safetensors", tmp_path / "a.safetensors")
    elif kind == "sat":
        shutil.copy(text.folder / "sat" / "1" / "mp_rank_00_model_states.pt", tmp_path / "tora.pt")
    else:  # and no config.json
        state = sorted(load_file(published).items())
        shards = [dict(state[::2]), dict(state[1::2])]
        names = [f"diffusion_pytorch_model-0000{place}-of-00002.safetensors" for place in (1, 2)]
        weight_map = {}
        for name, shard in zip(names, shards, strict=True):
            save_file(shard, tmp_path / name)
            weight_map |= dict.fromkeys(shard, name)
        index = {"metadata": {}, "weight_map": weight_map}
        (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    parts = find_tora_parts(find_layout(tmp_path), bases=[find_layout(text.folder / "base")])
    assert parts.inside
    assert parts.places["vae"].path == text.folder / "base" / "vae"
    assert set(shapes_of(open_source(parts.places["transformer"].files))) == set(load_file(published))
    if kind == "safetensors":
        shutil.copy(published, tmp_path / "other.safetensors")
        with pytest.raises(CheckpointError, match=r"several transformers .*\(other.safetensors, tora.safetensors\)"):
            find_layout(tmp_path)


@SLOW
def test_the_clip_is_that_of_the_model_however_it_was_loaded(text):
    whole = frames(load(text.folder / "diffusers", device="cpu"), tracks())
    for path in ("sat", "addon", "own"):
        model = load(text.folder / path, base=text.folder / "base", device="cpu")
        assert np.array_equal(frames(model, tracks()), whole)


@pytest.mark.parametrize("task", ["image", pytest.param("text", marks=SLOW)])
def test_a_pipeline_of_ours_saved_by_diffusers(task, request, tmp_path):
    from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline, ToraPipeline

    saved: Saved = request.getfixturevalue(task)
    kind = ToraImageToVideoPipeline if saved.kind == "learned" else ToraPipeline
    pipe = kind(**saved.pipe.components, adapter=saved.adapter, motion_vae=saved.pipe.vae)
    pipe.save_pretrained(tmp_path / "model")
    model: Any = load(tmp_path / "model", device="cpu")
    assert same(model.pipeline.adapter, saved.adapter)
    assert same(model.pipeline.motion_vae, saved.pipe.vae)
    assert model.takes_image is (saved.kind == "learned")


@pytest.mark.parametrize(
    "memory", ["minimal", *(pytest.param(name, marks=SLOW) for name in ("balanced", "low", "max-speed"))]
)
def test_every_preset_places_the_adapter(text, memory):
    model: Any = load(text.folder / "diffusers", device="cpu", memory=memory)
    clip = frames(model, tracks())
    assert "adapter (" in model.notes[0]
    if memory not in ("low", "minimal"):  # stored in 8 bits there, which changes the weights
        assert np.array_equal(clip, frames(load(text.folder / "diffusers", device="cpu"), tracks()))
    assert {tensor.dtype for tensor in model.pipeline.adapter.parameters()} == {torch.float32}


@pytest.mark.parametrize("offload", ["group+disk", pytest.param("group", marks=SLOW)])
def test_a_streamed_adapter_gives_the_same_clip(text, offload):
    """Extractor and fusers each by themselves; hooks are where their own calls come by."""
    from motionloom.models import offload as carrying
    from motionloom.models.memory_plans import Plan

    whole: Any = load(text.folder / "diffusers", device="cpu", memory="max-speed")
    clip = frames(whole, tracks())
    adapter = whole.pipeline.adapter
    carrying.place(Plan("minimal", offload=offload), "adapter", adapter, torch.device("cpu"))
    hooked = {name for name, module in adapter.named_modules() if hasattr(module, "_diffusers_hook")}
    assert {"traj_extractor.conv_in", "fuser.0.flow_gamma_temporal", "fuser.1.flow_cond_norm"} <= hooked
    assert "" not in hooked
    assert np.array_equal(frames(whole, tracks()), clip)


def with_words(saved: Saved, folder: Path) -> Path:
    """The base with a tiny T5 and its tokenizer."""
    from transformers import T5Config, T5EncoderModel

    base = Path(shutil.copytree(saved.folder / "base", folder))
    config = T5Config(vocab_size=16, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(base / "text_encoder")
    runpy.run_path(str(Path(__file__).parents[1] / "tiny_wan.py"))["tokenizer"]().save_pretrained(base / "tokenizer")
    (base / "tokenizer" / "spiece.model").write_bytes(b"not read where there is a tokenizer.json")
    parts = {"text_encoder": ["transformers", "T5EncoderModel"], "tokenizer": ["transformers", "T5Tokenizer"]}
    tiny["edit"](base / "model_index.json", **parts)
    return base


@pytest.mark.parametrize("task", ["image", pytest.param("text", marks=SLOW)])
def test_in_16_bits_all_parts_have_one_type(task, request):
    """As models of published size are loaded: the stock pipelines hand values from part to part as they are."""
    saved: Saved = request.getfixturevalue(task)
    model: Any = load(saved.folder / "diffusers", device="cpu", dtype=torch.bfloat16)
    parts = ("transformer", "vae", "adapter")
    assert {getattr(model.pipeline, part).dtype for part in parts} == {torch.bfloat16}
    assert frames(model, tracks()).shape == (9, 32, 32, 3)


def test_a_stock_image_to_video_folder_runs_in_16_bits(image):
    model: Any = load(image.folder / "base", device="cpu", dtype=torch.bfloat16)
    assert model.method == "time_to_move"
    assert model.pipeline.vae.dtype == torch.bfloat16
    assert frames(model, None).shape == (9, 32, 32, 3)


def test_what_was_loaded_is_what_is_counted(text):
    from motionloom.models.footprint import module_bytes, need_of

    pipeline = load(text.folder / "diffusers", device="cpu").pipeline  # pyright: ignore[reportAttributeAccessIssue]
    need, plain = need_of(pipeline, (32, 32), 9), need_of(text.pipe, (32, 32), 9)
    assert need.adapter == module_bytes(text.adapter)
    assert need.weights - plain.weights == need.adapter
    assert 0 < need.adapter_layer < need.adapter / 4


@pytest.mark.parametrize("path", ["addon", *(pytest.param(path, marks=SLOW) for path in ("diffusers", "sat"))])
def test_memory_is_planned_before_a_weight_is_read(text, path, monkeypatch):
    """The tiny model counts as the published one; its blocks come in 8 bits as they are read, the adapter whole."""
    from motionloom.models import footprint, memory, pipelines

    weights, added = (sum(each.numel() for each in part.parameters()) for part in (text.pipe.transformer, text.adapter))
    shape = replace(
        footprint.SHAPES["cogvideox-5b"], weights=weights, cast=weights // 2, text_encoder=1000, text_leaf=100
    )
    monkeypatch.setattr(footprint, "SHAPES", {"cogvideox-5b": shape})
    monkeypatch.setattr(footprint, "_TORA_WEIGHTS", added)
    planned = []
    make = pipelines.tora_pipeline
    monkeypatch.setattr(
        pipelines, "tora_pipeline", lambda *_, plan, **how: planned.append(plan) or make(*_, plan=plan, **how)
    )
    monkeypatch.setattr(memory, "plan_for", lambda *_, **__: pytest.fail("planned after it was loaded"))
    base = None if path == "diffusers" else text.folder / "base"
    model: Any = load(text.folder / path, base=base, device="cpu", memory="low", size=(32, 32), num_frames=9)
    assert planned[0].transformer_storage == "fp8"
    assert model.pipeline.transformer.transformer_blocks[0].ff.net[2].weight.dtype == torch.float8_e4m3fn
    assert same(model.pipeline.adapter, text.adapter)
    assert frames(model, tracks()).shape == (9, 32, 32, 3)


def test_text_encoder_and_tokenizer_come_from_the_base(text, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    base = with_words(text, tmp_path / "base")
    model: Any = load(text.folder / "addon", base=base, device="cpu")
    assert model.reads_text
    assert model.pipeline.text_encoder.config.d_model == 8
    # Wan's has the same width, and its tokenizer other words.
    tiny["edit"](base / "text_encoder" / "config.json", architectures=["UMT5EncoderModel"])
    told = r"(?s)is a UMT5EncoderModel, expected a T5EncoderModel.*the T5 tokenizer"
    with pytest.raises(CheckpointError, match=told):
        load(text.folder / "addon", base=base, device="cpu")
    tiny["edit"](base / "text_encoder" / "config.json", architectures=["T5EncoderModel"], d_model=12)
    with pytest.raises(CheckpointError, match="d_model 12, the transformer needs 8"):
        load(text.folder / "addon", base=base, device="cpu")
    shutil.rmtree(base / "text_encoder")
    with pytest.raises(CheckpointError, match=r"(?s)without all .* the T5 text .*fetch tora-t2v --only text_encoder"):
        load(text.folder / "sat", base=base, device="cpu")


def test_a_stock_text_to_video_folder_is_a_base_and_no_model(text):
    with pytest.raises(CheckpointError, match=r"videos of text alone and follows no tracks; .* base="):
        load(text.folder / "base", device="cpu")
    with pytest.raises(CheckpointError, match=r"a stock CogVideoX alone; .* with transformer="):
        load(text.folder / "base" / "transformer", device="cpu")


def test_an_add_on_of_the_other_task_is_told_by_its_name(saved, tmp_path):
    tag = "" if saved.kind == "learned" else "_I2V"
    words = "add-on for text to video.*fuser_I2V" if saved.kind == "learned" else "add-on for image to video"
    layout = find_layout(tiny["save_addon"](tmp_path / "files", saved.adapter, tag))
    base = find_layout(saved.folder / "base")
    with pytest.warns(UserWarning, match=words):
        found = find_tora_parts(layout, bases=[base])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_tora_parts(layout, bases=[base], any_base=True) == found
        # A folder's name may say it, but not any that has a picture in it.
        for name, told in (("tora_I2V", True), ("images", False)):
            folder = tiny["save_addon"](tmp_path / name, saved.adapter)
            if told is (saved.kind == "learned"):
                find_tora_parts(find_layout(folder), bases=[base])


def test_the_warning_names_the_line_that_loads(text, tmp_path):
    tiny["save_addon"](tmp_path, text.adapter, "_I2V")
    with pytest.warns(UserWarning, match="add-on for image to video") as caught:
        load(tmp_path, base=text.folder / "base", device="cpu")
    assert [Path(warning.filename) for warning in caught if "add-on" in str(warning.message)] == [Path(__file__)]


def test_half_an_add_on(text, tmp_path):
    for name, lost in (("fuser", "the trajectory extractor"), ("traj_extractor", "the fusers")):
        folder = tmp_path / f"only-{name}"
        folder.mkdir()
        shutil.copy(text.folder / "addon" / f"{name}.safetensors", folder)
        for given in (folder, folder / f"{name}.safetensors"):
            with pytest.raises(CheckpointError, match=f"half of an add-on.*{lost} .*there is none"):
                load(given, base=text.folder / "base")


def test_a_file_that_was_cut_short_is_not_called_missing(text, tmp_path):
    folder = Path(shutil.copytree(text.folder / "addon", tmp_path / "cut"))
    file = folder / "fuser.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    for given in (folder, folder / "traj_extractor.safetensors"):
        with pytest.raises(CheckpointError, match=r"fuser.safetensors: is cut short"):
            find_layout(given)


def test_folders_that_are_not_whole(text, tmp_path):
    folder = Path(shutil.copytree(text.folder / "diffusers", tmp_path / "cut"))
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cut/transformer: holds no weights; the download is incomplete"):
        load(folder)
    shutil.rmtree(folder / "transformer")
    with pytest.raises(CheckpointError, match=r"cut/transformer: missing, although model_index\.json"):
        load(folder)
    base = Path(shutil.copytree(text.folder / "base", tmp_path / "base"))
    (base / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="base/transformer: holds no weights; the download is incomplete"):
        load(text.folder / "addon", base=base)
    stock = Path(shutil.copytree(text.folder / "base", tmp_path / "stock"))
    tiny["edit"](stock / "model_index.json", _class_name="ToraPipeline")
    with pytest.raises(CheckpointError, match="calls itself a ToraPipeline and holds a stock CogVideoX, without what"):
        load(stock)


def test_two_add_ons_side_by_side(text, tmp_path):
    tiny["save_addon"](tmp_path, text.adapter)
    tiny["save_addon"](tmp_path, text.adapter, "_I2V")
    with pytest.raises(
        CheckpointError, match=r"several add-ons of Tora \(fuser\.safetensors, fuser_I2V\.safetensors\)"
    ):
        find_layout(tmp_path)
    for tag in ("", "_I2V"):
        place = find_layout(tmp_path / f"fuser{tag}.safetensors").places["adapter"]
        assert [path.name for path in place.files] == [f"fuser{tag}.safetensors", f"traj_extractor{tag}.safetensors"]


def test_an_adapter_for_another_base(text, tmp_path):
    other = tiny["tiny"]["adapter"](tiny["tiny"]["transformer"]("t2v", heads=4, layers=3))
    for folder in (tiny["save_addon"](tmp_path / "files", other), tmp_path / "own"):
        if folder.name == "own":
            other.save_pretrained(folder)
        with pytest.raises(CheckpointError, match=r"transformer 64 wide with 3 blocks, .* is 32 wide with 2 blocks"):
            load(folder, base=text.folder / "base", any_base=True)


def test_an_adapter_for_another_generation(text, tmp_path):
    base = Path(shutil.copytree(text.folder / "base", tmp_path / "newer"))
    tiny["edit"](base / "transformer" / "config.json", patch_size_t=2)
    own = Path(shutil.copytree(text.folder / "own", tmp_path / "adapter"))
    for given in (text.folder / "addon", own):
        with pytest.raises(CheckpointError, match=r"made for CogVideoX 1.0, .*newer/transformer is a .* CogVideoX 1.5"):
            load(given, base=base)
    tiny["edit"](own / "config.json", patch_size_t=2)
    with pytest.raises(
        CheckpointError, match=r"made for CogVideoX 1.5, .* is a transformer of CogVideoX 1.0; give the"
    ):
        load(own, base=text.folder / "base")


def test_published_adapters_on_the_smaller_model_name_both(tmp_path):
    """What users meet as an error about groups: the add-on of the 5B model on CogVideoX-2B."""
    for name, config in (
        ("own", {"_class_name": "ToraAdapter"}),
        ("transformer", {"_class_name": "CogVideoXTransformer3DModel", **TWO_B}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        save_file({"x": torch.zeros(1)}, tmp_path / name / "diffusion_pytorch_model.safetensors")
    text = r"3072 wide with 42 blocks \(CogVideoX-5B\), .* is 1920 wide with 30 blocks \(CogVideoX-2B\)"
    with pytest.raises(CheckpointError, match=text):
        load(tmp_path / "own", base=tmp_path / "transformer")


TWO_B = {
    "num_attention_heads": 30,
    "attention_head_dim": 64,
    "num_layers": 30,
    "in_channels": 16,
    "out_channels": 16,
    "text_embed_dim": 4096,
}


def test_without_a_base_it_says_which(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    name = "CogVideoX-5b-I2V" if saved.kind == "learned" else "CogVideoX-5b"
    with pytest.raises(CheckpointError, match=rf"give the folder of zai-org/{name} with --base .*models fetch"):
        load(saved.folder / "addon")
    with pytest.raises(CheckpointError, match=r"32 wide with 2 blocks, which is no published one \(3072 wide with 42"):
        load(saved.folder / "sat")
    wan = Path(shutil.copytree(saved.folder / "base", tmp_path / "wan"))
    tiny["edit"](wan / "transformer" / "config.json", _class_name="WanTransformer3DModel")
    with pytest.raises(CheckpointError, match="no transformer of CogVideoX; Tora adds to"):
        load(saved.folder / "addon", base=wan)


def test_arguments_that_mean_nothing_here(text):
    with pytest.raises(InputError, match="transformer_2: CogVideoX has one transformer"):
        load(text.folder / "diffusers", transformer_2=text.folder / "base")
    with pytest.raises(CheckpointError, match="is a transformer itself, with Tora inside; leave transformer out"):
        load(text.folder / "diffusers", transformer=text.folder / "base")
    with pytest.raises(InputError, match="knows tora, found 'ati'"):
        load(text.folder / "diffusers", method="ati")


def test_a_transformer_may_be_taken_from_elsewhere(text, tmp_path):
    other = with_other_transformer(text, tmp_path)
    model: Any = load(text.folder / "addon", base=text.folder / "base", transformer=other, device="cpu")
    expected = text.pipe.transformer.proj_out.weight + 1
    assert torch.equal(model.pipeline.transformer.proj_out.weight, expected)
    # The other parts are taken from the folder that the transformer lies in.
    model = load(text.folder / "addon", transformer=other / "transformer", device="cpu")
    assert torch.equal(model.pipeline.transformer.proj_out.weight, expected)


def test_code_of_the_folder_is_never_imported(text, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(text.folder / "diffusers", tmp_path / "evil"))
    (folder / "tora").mkdir()
    (folder / "tora" / "transformer_3d.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(folder)
    load(folder, device="cpu")
    assert not (tmp_path / "ran").exists()
    tiny["edit"](folder / "model_index.json", vae=["os", "system"])
    with pytest.raises(CheckpointError, match="wants code from 'os'"):
        load(folder, device="cpu")


def test_sat_folders_of_both_tasks_and_split_ones(saved, tmp_path):
    for task in ("t2v", "i2v"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "mp_rank_00_model_states.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"2 checkpoints \(i2v/mp_rank_00_model_states.pt, t2v/mp_rank_00"):
        find_layout(tmp_path)
    (tmp_path / "t2v" / "mp_rank_01_model_states.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="split among 2 processes"):
        find_layout(tmp_path / "t2v")


def put_addon(root: Path, saved: Saved, inside: str = "") -> None:
    """The add-on where a fetch would have put it, in a folder of its repositories."""
    tag, repo = ("_I2V", "CogVideoX-5b-Tora-I2V") if saved.kind == "learned" else ("", "CogVideoX-5b-Tora")
    for half, home in (("fuser", repo), ("traj_extractor", "CogVideoX-5b-Tora")):
        target = root / f"kijai--{home}" / (half if inside == "of their names" else inside)
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(saved.folder / "addon" / f"{half}{tag}.safetensors", target)


@pytest.mark.parametrize("name", ["tora-t2v", "tora-i2v", "tora-t2v-addon", "tora-i2v-sat"])
def test_what_is_missing_of_a_catalogue_model_is_said(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    with pytest.raises(CheckpointError, match=rf"(?s){name}: .* are not on this disk .*models fetch {name}"):
        load(name)
    card = find_model(name)
    assert (card.commercial_use, card.licence) == (False, "CogVideoX License")
    assert card.takes_image is ("i2v" in name)
    assert (card.native_size, card.num_frames, card.fps, card.default_steps) == ((480, 720), 49, 8.0, 50)
    assert card.limits.max_tracks == 16


@pytest.mark.parametrize(("task", "inside"), [("text", ""), ("image", "of their names")])
def test_a_fetched_add_on_takes_its_parts_from_a_base(task, inside, request, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    saved: Saved = request.getfixturevalue(task)
    put_addon(tmp_path, saved, inside)
    name = "tora-i2v" if saved.kind == "learned" else "tora-t2v-addon"
    model: Any = load(name, base=saved.folder / "base", device="cpu")
    assert same(model.pipeline.adapter, saved.adapter)
    assert (model.name, model.card.name) == (name, name)
    other: Saved = request.getfixturevalue("text" if task == "image" else "image")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CheckpointError, match=f"{name}: needs a transformer of the architecture cogvideox-5b"):
            load(name, base=other.folder / "base", device="cpu")
    files = find_model(name).files
    lost = len([file for file in files if file.part not in ("fuser", "traj_extractor")])
    with pytest.raises(CheckpointError, match=f"{name}: {lost} of its {len(files)} files are not on this disk"):
        load(name)


def test_a_fetched_model_is_loaded_by_its_name(text, tmp_path, monkeypatch):
    # Not image to video: the checksums of CogVideoX-5b-I2V's files are known, and are not those of a tiny model.
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    base = with_words(text, tmp_path / "base")
    for part in ("transformer", "vae", "text_encoder"):
        index = next(iter((base / part).glob("*.safetensors"))).with_suffix(".safetensors.index.json")
        index.write_text("{}") if part != "vae" else None
    put_addon(tmp_path / "models", text)
    shutil.copytree(base, tmp_path / "models" / "zai-org--CogVideoX-5b")
    model: Any = load("tora-t2v-addon", device="cpu")
    assert find_model("tora-t2v-addon").installed
    assert same(model.pipeline.transformer, text.pipe.transformer)
    assert same(model.pipeline.adapter, text.adapter)
    assert model.reads_text
    # And a checkpoint of one's own takes from there what it lacks.
    alone: Any = load(text.folder / "addon", device="cpu")
    assert same(alone.pipeline.vae, text.pipe.vae)


def test_hub_ids_of_the_base_are_its_own_cards(tmp_path, monkeypatch):
    """CogVideoX-5b-I2V's repository holds the transformer of several cards."""
    from motionloom.models.lookup import _at_home_in

    homes = {repo: _at_home_in(repo) for repo in ("zai-org/CogVideoX-5b-I2V", "bytedance-research/ATI")}
    assert {repo: card and card.name for repo, card in homes.items()} == {
        "zai-org/CogVideoX-5b-I2V": "cogvideox-5b-i2v",
        "bytedance-research/ATI": "ati-14b",
    }
    assert _at_home_in("somebody/else") is None
    assert [card.name for card in list_models() if "tora" in card.methods][1] == find_model("tora").name == "tora-i2v"
