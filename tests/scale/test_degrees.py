from types import SimpleNamespace

import pytest
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel

from motionloom.errors import InputError
from motionloom.scale.degrees import Degrees, choose_degrees, degrees_for, tokens_of

PUBLISHED = {"heads": 40, "tokens": 32_760}  # Wan 2.1 14B, 480 x 832, 81 frames


@pytest.mark.parametrize(
    ("world", "guided", "expected"),
    [
        (1, True, Degrees(1, 1)), (2, True, Degrees(1, 2)), (4, True, Degrees(2, 2)), (8, True, Degrees(4, 2)),
        (5, True, Degrees(5, 1)), (2, False, Degrees(2, 1)), (4, False, Degrees(4, 1)), (8, False, Degrees(8, 1)),
    ],
)  # fmt: skip
def test_two_calls_are_separated_first_and_the_rest_divides_tokens(world, guided, expected):
    assert choose_degrees(world, guided=guided, **PUBLISHED) == expected
    assert expected.world == world


def test_calls_can_be_separated_where_heads_cannot_be_divided():
    assert choose_degrees(2, heads=5, tokens=1280, guided=True) == Degrees(1, 2)
    with pytest.raises(InputError, match=r": 5 attention heads cannot be divided by 2; 1 or 5 would do$"):
        choose_degrees(2, heads=5, tokens=1280, guided=False)
    # Guided, 5 divides the heads of one call and 10 those of two.
    with pytest.raises(InputError, match=r"5 attention heads cannot be divided by 4 \(so many .*; 1, 2 or 5 would do$"):
        choose_degrees(8, heads=5, tokens=1280, guided=True)
    assert choose_degrees(10, heads=5, tokens=1280, guided=True) == Degrees(5, 2)


def test_tokens_that_do_not_divide_can_be_changed():
    with pytest.raises(InputError, match=r"30 tokens .* by 4; 1, 2 or 5 would do, or choose another size"):
        choose_degrees(4, heads=40, tokens=30, guided=False)


def test_no_processes_are_refused():
    with pytest.raises(InputError, match="found 0"):
        choose_degrees(0, guided=False, **PUBLISHED)
    with pytest.raises(InputError, match="found 2 and 3"):
        Degrees(2, 3)


def test_degrees_say_what_they_are():
    assert [str(Degrees(*each)) for each in ((1, 1), (4, 1), (1, 2), (4, 2))] == [
        "one process", "ulysses 4", "cfg 2", "ulysses 4 x cfg 2",
    ]  # fmt: skip


def pipeline(heads=40, plan=True, spatial=8):
    config = SimpleNamespace(num_attention_heads=heads, patch_size=(1, 2, 2))
    transformer = SimpleNamespace(config=config, _cp_plan={} if plan else None)
    return SimpleNamespace(transformer=transformer, vae_scale_factor_temporal=4, vae_scale_factor_spatial=spatial)


@pytest.mark.parametrize(
    ("size", "frames", "spatial", "expected"),
    [((480, 832), 81, 8, 32_760), ((720, 1280), 81, 8, 75_600), ((704, 1280), 121, 16, 27_280), ((16, 16), 1, 8, 1)],
)
def test_tokens_of_published_videos(size, frames, spatial, expected):
    pipe = pipeline(spatial=spatial)
    assert tokens_of(pipe, pipe.transformer, size, frames) == expected


def test_degrees_for_a_run():
    run = {"size": (480, 832), "num_frames": 81}
    assert degrees_for(pipeline(), guidance_scale=5.0, world=8, **run) == Degrees(4, 2)
    assert degrees_for(pipeline(), guidance_scale=1.0, world=8, **run) == Degrees(8, 1)
    second_only = pipeline()
    second_only.transformer, second_only.transformer_2 = None, second_only.transformer
    assert degrees_for(second_only, guidance_scale=1.0, world=2, **run) == Degrees(2, 1)
    with pytest.raises(InputError, match=r"a SimpleNamespace cannot be shared .* Wan and CogVideoX .* use one GPU"):
        degrees_for(pipeline(plan=False), guidance_scale=5.0, world=8, **run)


def cogvideox(heads=48, pairs=None):
    """A pipeline around a CogVideoX transformer of published heads and patches, in little else like it."""
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=heads, attention_head_dim=8, num_layers=1, time_embed_dim=2, text_embed_dim=2,
        patch_size_t=pairs, sample_width=2, sample_height=2, sample_frames=1, use_rotary_positional_embeddings=True,
    )  # fmt: skip
    return SimpleNamespace(transformer=transformer, vae_scale_factor_temporal=4, vae_scale_factor_spatial=8)


def test_cogvideox_divides_by_its_heads_alone():
    # 17 550 video tokens and 226 of text divide by 2 together, and by nothing more.
    run = {"size": (480, 720), "num_frames": 49}
    pipe = cogvideox()
    assert tokens_of(pipe, pipe.transformer, **run) == 17_550
    assert [degrees_for(pipe, guidance_scale=6.0, world=n, **run) for n in (1, 2, 3, 4, 6, 8)] == [
        Degrees(1, 1), Degrees(1, 2), Degrees(3, 1), Degrees(2, 2), Degrees(3, 2), Degrees(4, 2),
    ]  # fmt: skip
    assert degrees_for(pipe, guidance_scale=1.0, world=8, **run) == Degrees(8, 1)
    with pytest.raises(
        InputError, match=r"^gpus: 5 cannot share this video: 48 attention heads .* by 5; 1, 2, 3, 4, 6 or 8 would do$"
    ):
        degrees_for(pipe, guidance_scale=6.0, world=5, **run)
    two_b = cogvideox(heads=30)
    assert degrees_for(two_b, guidance_scale=6.0, world=6, **run) == Degrees(3, 2)
    with pytest.raises(InputError, match=r"by 4 \(so many make each branch of guidance\); 1, 2, 3, 4, 5 or 6 would"):
        degrees_for(two_b, guidance_scale=6.0, world=8, **run)


def test_cogvideox_15_fills_up_pairs_of_latent_frames():
    pipe = cogvideox(pairs=2)
    assert tokens_of(pipe, pipe.transformer, (768, 1360), 81) == 11 * 48 * 85
    assert tokens_of(pipe, pipe.transformer, (768, 1360), 85) == 11 * 48 * 85
