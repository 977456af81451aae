from __future__ import annotations

import pytest

from motionloom.models.lora.names import TARGETS, block_of, module_name, original_name, table_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blocks.3.self_attn.q", "blocks.3.attn1.to_q"),
        ("blocks_13_self_attn_q", "blocks.13.attn1.to_q"),
        ("blocks.0.cross_attn.o", "blocks.0.attn2.to_out.0"),
        ("blocks_0_cross_attn_k_img", "blocks.0.attn2.add_k_proj"),
        ("blocks.7.ffn.2", "blocks.7.ffn.net.2"),
        ("blocks_7_ffn_net_0_proj", "blocks.7.ffn.net.0.proj"),
        ("blocks.7.norm3", "blocks.7.norm2"),
        ("blocks.7.cross_attn.norm_k_img", "blocks.7.attn2.norm_added_k"),
        ("time_projection.1", "condition_embedder.time_proj"),
        ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
        ("text_embedding_2", "condition_embedder.text_embedder.linear_2"),
        ("head.head", "proj_out"),
        ("blocks.0.attn1.to_q", "blocks.0.attn1.to_q"),
        ("blocks.0.self_attn.w", None),
        ("double_blocks.0.img_attn.q", None),
        ("blocks.x.self_attn.q", None),
    ],
)
def test_module_names(name: str, expected: str | None):
    assert module_name(name) == expected


def test_every_module_of_a_full_transformer_has_a_name_there_and_back(transformer):
    model = transformer(image=True)
    for name, parameter in model.named_parameters():
        module, _, leaf = name.rpartition(".")
        if leaf == "scale_shift_table":
            assert table_name(original_name(name)) == name
            continue
        assert module_name(module) == module, name
        assert module_name(original_name(module)) == module, name
        assert module_name(original_name(module).replace(".", "_")) == module, name
        assert parameter is not None


def test_targets_are_musubis_twelve():
    assert len(TARGETS) == 12
    assert sum("add_" in name for name in TARGETS) == 2
    assert block_of("blocks.12.attn1.to_q") == 12
    assert block_of("proj_out") is None
