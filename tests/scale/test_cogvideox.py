import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh

from motionloom.errors import InputError
from motionloom.models.cogvideox import CogVideoXModel
from motionloom.scale import cogvideox, parallel
from motionloom.scale.joint import Parts
from motionloom.scale.launch import launch

FILE = Path(__file__).with_name("cogvideox_cases.py")
PROGRAM = [str(FILE)]


@pytest.fixture(scope="session")
def cases():
    """The module `cogvideox_cases.py`, which the processes run as a program."""
    spec = importlib.util.spec_from_file_location("motionloom_scale_cogvideox_cases", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def two(tmp_path_factory, cases):
    """What two processes make of every case."""
    file = tmp_path_factory.mktemp("two") / "out.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        assert launch(2, [str(file), *cases.CASES], program=PROGRAM) == 0
    return load_file(file)


@pytest.fixture
def expected(cases):
    """What one process makes of a case."""

    def make(name):
        with torch.no_grad():
            return cases.CASES[name](cases.alone)

    return make


@pytest.mark.parametrize(
    "name",
    [
        "ulysses_t2v", "ulysses_sincos", "ulysses_learned", "ulysses_15", "ulysses_uneven", "ulysses_two_videos",
        "ulysses_tora", "ulysses_tora_image", "ulysses_tora_15", "ulysses_tora_spatial", "ulysses_tora_modulation",
        "ulysses_tora_streamed", "ulysses_tora_four_heads", "ulysses_tora_extra_channel",
        "ulysses_tora_cross_attention", "ulysses_tora_attached_in_the_call", "ulysses_windows", "ulysses_pipeline",
        "cfg_pipeline_in_turn", "ulysses_fused", "ulysses_offloaded", "cfg_t2v", "cfg_learned", "cfg_15", "cfg_tora",
        "cfg_tora_15", "cfg_dynamic", "cfg_tracks_in_one_branch", "cfg_windows", "cfg_offloaded",
        "cfg_without_guidance", "noise_of_the_first", "everything_left_as_found",
    ],
)  # fmt: skip
@pytest.mark.slow
def test_two_processes_make_what_one_makes(name, two, expected):
    # Products of fewer rows round in another order; what is wrong differs by as much as the latents themselves.
    alone = expected(name)
    assert not alone.isnan().any()
    assert alone.std() > 0.1
    assert torch.allclose(two[name], alone, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_half_precision_agrees_to_its_own_rounding(two, expected):
    assert torch.allclose(two["ulysses_half_precision"], expected("ulysses_half_precision"), rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["ulysses_first_block_cache", "cfg_first_block_cache"])
@pytest.mark.slow
def test_caches_skip_for_all_processes_as_for_one(name, two, expected):
    alone = expected(name)
    assert alone[-1] == 8, "some of 12 steps are to run all blocks, some only the first"
    assert torch.allclose(two[name], alone, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_work_is_divided(two, expected):
    # 3 calls on 2 videos of 12 + 4 tokens with guidance, on one without; both processes are in each, with half of it.
    assert expected("work_with_guidance").tolist() == [3, 96]
    assert two["work_with_guidance"].tolist() == [6, 96]
    assert expected("work_without_guidance").tolist() == [3, 48]
    assert two["work_without_guidance"].tolist() == [6, 48]


@pytest.mark.slow
def test_processes_that_were_asked_for_different_videos_are_refused(two):
    assert two["different_videos"].tolist() == [1.0]


@pytest.mark.slow
def test_four_processes_share_branches_and_tokens(tmp_path, cases, expected):
    names = [
        "cfg_tora", "cfg_tora_15", "cfg_windows", "cfg_first_block_cache", "ulysses_tora_four_heads",
        "work_with_guidance",
    ]  # fmt: skip
    launch(4, [str(tmp_path / "out.safetensors"), *names], program=PROGRAM)
    found = load_file(tmp_path / "out.safetensors")
    for name in names[:-1]:
        assert torch.allclose(found[name], expected(name), rtol=0, atol=1e-5), name
    assert found["work_with_guidance"].tolist() == [12, 96]


@pytest.mark.slow
def test_heads_that_do_not_divide_end_the_run_with_one_message(tmp_path):
    with pytest.raises(
        InputError, match=r"^gpus: 3 cannot share this video: 2 attention heads cannot be divided by 3; "
    ):
        launch(3, [str(tmp_path / "out.safetensors"), "ulysses_tora"], program=PROGRAM)
    assert not (tmp_path / "out.safetensors").exists()


@given(text=st.integers(0, 300), video=st.integers(1, 2000), world=st.integers(1, 48))
def test_parts_follow_one_another_and_cover_every_token_once(text, video, world):
    parts = [Parts(text, video, world, rank) for rank in range(world)]
    words, tokens = list(range(text)), list(range(text, text + video))
    found = [word for part in parts for word in words[part.own_text] + tokens[part.own_video]]
    assert found == words + tokens
    assert parts[0].lengths == [len(words[part.own_text]) + len(tokens[part.own_video]) for part in parts]
    assert parts[0].video_lengths == [len(tokens[part.own_video]) for part in parts]
    assert max(parts[0].lengths) - min(parts[0].lengths) <= 1


def test_the_published_video_on_eight_gpus():
    # 17 776 tokens in four parts: all of the text with the first.
    parts = [Parts(226, 17_550, 4, rank) for rank in range(4)]
    assert parts[0].lengths == [4444] * 4
    assert parts[0].video_lengths == [4218, 4444, 4444, 4444]
    assert [part.own_text for part in parts[:2]] == [slice(0, 226), slice(226, 226)]


@pytest.fixture
def mesh(tmp_path):
    """That of a single process."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,), mesh_dim_names=("ulysses",))["ulysses"]
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ["t2v", "learned"])
def test_a_single_process_gathers_and_exchanges_what_it_has(kind, mesh, cases):
    model = cases.TINY.transformer(kind)
    inputs = cases.TINY.call(model, batch=2)
    adapter = cases.TINY.adapter(model)
    with torch.no_grad(), cases.attach(model, adapter) as attachment:
        attachment.features = adapter.features(cases.TINY.motion_latents(batch=2))
        expected = model(**inputs)[0]
        with cogvideox.ulysses(model, mesh):
            assert torch.equal(model(**inputs)[0], expected)
            assert attachment.tokens is not None
        assert attachment.tokens is None
        assert torch.equal(model(**inputs)[0], expected)


def test_attention_that_is_not_cogvideox_own_is_refused(mesh, cases):
    model = cases.TINY.transformer()
    model.transformer_blocks[1].attn1.set_processor(AttnProcessor2_0())
    with (
        pytest.raises(
            InputError, match=r"found the attention AttnProcessor2_0 in transformer_blocks.1.attn1, expected"
        ),
        cogvideox.ulysses(model, mesh),
    ):
        pass


def test_a_transformer_is_shared_once(mesh, cases):
    model = cases.TINY.transformer()
    with cogvideox.ulysses(model, mesh):
        with pytest.raises(InputError, match="several processes already"), cogvideox.ulysses(model, mesh):
            pass
        assert isinstance(model.transformer_blocks[0].attn1.processor, cogvideox.SharedAttention)
    with (
        cogvideox.two_halves(model, mesh, lambda: 1),
        pytest.raises(InputError, match="several processes already"),
        cogvideox.two_halves(model, mesh, lambda: 1),
    ):
        pass


def test_an_attention_mask_is_refused(mesh, cases):
    model = cases.TINY.transformer()
    mask = {"attention_mask": torch.zeros(1, 1, 16)}
    with cogvideox.ulysses(model, mesh), pytest.raises(InputError, match="mask cannot be shared"):
        model(**cases.TINY.call(model), attention_kwargs=mask)


def test_alone_nothing_is_shared(cases):
    pipeline = cases.build()
    before = dict(vars(pipeline))
    with parallel.shared(pipeline, size=(32, 32), num_frames=9, guidance_scale=2.0) as degrees:
        assert degrees is None
        assert vars(pipeline) == before


def test_models_of_cogvideox_can_be_shared():
    assert CogVideoXModel.can_be_shared
