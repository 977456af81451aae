from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from motionloom.errors import InputError, MotionloomError
from motionloom.scale import parallel, wan
from motionloom.scale.launch import launch

PROGRAM = [str(Path(__file__).with_name("cases.py"))]


@pytest.fixture(scope="module")
def two(tmp_path_factory, cases):
    """What two processes make of every case."""
    file = tmp_path_factory.mktemp("two") / "out.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        assert launch(2, [str(file), *cases.CASES], program=PROGRAM) == 0
    return load_file(file)


@pytest.mark.parametrize(
    "name",
    [
        "ulysses_ati", "ulysses_clip_tokens", "ulysses_two_experts", "ulysses_offloaded", "cfg_offloaded",
        "cfg_drops_tracks", "cfg_window", "cfg_two_experts", "cfg_motion_guidance", "cfg_time_per_token",
        "cfg_half_precision", "cfg_without_guidance", "noise_of_the_first", "everything_left_as_found",
    ],
)  # fmt: skip
@pytest.mark.slow
def test_two_processes_make_what_one_makes_bit_for_bit(name, two, cases):
    expected = cases.CASES[name](cases.alone)
    assert not expected.isnan().any()
    assert expected.std() > 0.1
    assert torch.equal(two[name], expected)


@pytest.mark.slow
def test_a_time_for_every_token_agrees_to_rounding(two, cases):
    # The embedding of times is one matrix product over all tokens; over half of them it rounds in another order.
    expected = cases.ulysses_time_per_token(cases.alone)
    assert torch.allclose(two["ulysses_time_per_token"], expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", ["ulysses_first_block_cache", "ulysses_mag_cache"])
@pytest.mark.slow
def test_caches_skip_for_all_processes_as_for_one(name, two, cases):
    expected = cases.CASES[name](cases.alone)
    assert 1 < expected[-1] < 8, "some steps are to run all blocks, some only the first"
    assert torch.equal(two[name], expected)


@pytest.mark.slow
def test_first_block_cache_of_one_branch_is_that_of_both(two, cases):
    found, expected = two["cfg_first_block_cache"], cases.cfg_first_block_cache(cases.alone)
    assert torch.equal(found[:-1], expected[:-1])
    assert found[-1] < expected[-1] < 16


@pytest.mark.slow
def test_work_is_divided(two, cases):
    # 4 steps on 3 x 2 x 2 tokens. With guidance each makes half of the calls; without, every call on half the tokens.
    assert cases.work_with_guidance(cases.alone).tolist() == [8, 96] == two["work_with_guidance"].tolist()
    assert cases.work_without_guidance(cases.alone).tolist() == [4, 48]
    assert two["work_without_guidance"].tolist() == [8, 48]


@pytest.mark.slow
def test_processes_that_were_asked_for_different_videos_are_refused(two):
    assert two["different_videos"].tolist() == [1.0]


@pytest.mark.slow
def test_four_processes_share_calls_and_tokens(tmp_path, cases):
    names = ["cfg_two_experts", "cfg_motion_guidance", "cfg_window", "work_with_guidance"]
    launch(4, [str(tmp_path / "out.safetensors"), *names], program=PROGRAM)
    found = load_file(tmp_path / "out.safetensors")
    for name in names[:-1]:
        assert torch.equal(found[name], cases.CASES[name](cases.alone)), name
    assert found["work_with_guidance"].tolist() == [16, 96]


@pytest.mark.slow
def test_heads_that_do_not_divide_end_the_run_with_one_message(tmp_path):
    with pytest.raises(InputError, match=r"^gpus: 4 cannot share this video: 2 attention heads cannot be divided by 4"):
        launch(4, [str(tmp_path / "out.safetensors"), "ulysses_ati"], program=PROGRAM)
    assert not (tmp_path / "out.safetensors").exists()


def test_alone_nothing_is_shared(cases):
    pipeline = cases.stock()
    before = dict(vars(pipeline))
    with parallel.shared(pipeline, size=(32, 32), num_frames=9, guidance_scale=2.0) as degrees:
        assert degrees is None
        assert vars(pipeline) == before


@pytest.fixture
def group_of_one(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield torch.distributed.group.WORLD
    torch.distributed.destroy_process_group()


def test_degrees_for_another_number_of_processes_are_refused(group_of_one, cases):
    with (
        pytest.raises(InputError, match="ulysses 2 x cfg 2 is for 4 processes, found 1"),
        parallel.enable(cases.stock(), parallel.Degrees(2, 2)),
    ):
        pass


def test_a_step_without_its_second_call_is_an_error(group_of_one, cases):
    pipeline = cases.stock()
    pipeline._guidance_scale = 2.0
    hook = wan.BranchHook(pipeline, 1, group_of_one)
    registry = wan.HookRegistry.check_if_exists_or_initialize(pipeline.transformer)
    registry.register_hook(hook, "branch")
    inputs = {"hidden_states": torch.ones(1, 36, 1, 2, 2), "timestep": torch.ones(1), "return_dict": False}
    with pipeline.transformer.cache_context("cond"):
        blank = pipeline.transformer(**inputs, encoder_hidden_states=torch.zeros(1, 512, 8))[0]
        assert blank.shape == (1, 16, 1, 2, 2)
        assert blank.isnan().all()
        with pytest.raises(MotionloomError, match="not followed by another one"):
            pipeline.transformer(**inputs, encoder_hidden_states=torch.zeros(1, 512, 8))
