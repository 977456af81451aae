from __future__ import annotations

from types import SimpleNamespace

import pytest

from motionloom.models.checkpoints.wan_keys import diffusers_key, naming_of, original_key, to_original

PUBLISHED = [
    ("wan21-i2v-14b.dit.original", "wan21-i2v-14b.transformer.diffusers", 1303),
    ("wan22-i2v-a14b.expert.original", "wan22-i2v-a14b.transformer.diffusers", 1095),
]


@pytest.mark.parametrize(("original", "diffusers", "count"), PUBLISHED)
def test_every_published_key_maps_with_its_shape_both_ways(
    wan: SimpleNamespace, original: str, diffusers: str, count: int
) -> None:
    published, ours = wan.manifest(original), wan.manifest(diffusers)
    there = {diffusers_key(key): shape for key, shape in published.items()}
    assert len(published) == len(there) == count
    assert there == ours
    assert to_original(ours) == published
    assert all(original_key(diffusers_key(key) or "") == key for key in published)


@pytest.mark.parametrize(("original", "diffusers", "count"), PUBLISHED)
def test_whose_names_they_are(wan: SimpleNamespace, original: str, diffusers: str, count: int) -> None:
    assert naming_of(wan.manifest(original)) == "original"
    assert naming_of(wan.manifest(diffusers)) == "diffusers"
    assert naming_of([*wan.manifest(original), *wan.manifest(diffusers)]) is None
    assert naming_of(["encoder.conv1.weight"]) is None


def test_names_that_could_be_mixed_up() -> None:
    assert diffusers_key("blocks.7.norm3.bias") == "blocks.7.norm2.bias"
    assert diffusers_key("head.modulation") == "scale_shift_table"
    assert diffusers_key("blocks.0.modulation") == "blocks.0.scale_shift_table"
    assert original_key("scale_shift_table") == "head.modulation"
    assert original_key("blocks.0.scale_shift_table") == "blocks.0.modulation"
    assert diffusers_key("blocks.1.self_attn.o.scale_weight") == "blocks.1.attn1.to_out.0.scale_weight"
    assert diffusers_key("blocks.1.self_attn.o") == "blocks.1.attn1.to_out.0"
    assert diffusers_key("img_emb.emb_pos") == "condition_embedder.image_embedder.pos_embed"
    assert diffusers_key("modulation") is None
    assert diffusers_key("vace_blocks.0.norm3.bias") is None
    assert original_key("head.head.weight") is None


def test_a_foreign_name_is_not_dropped_on_the_way_back() -> None:
    with pytest.raises(KeyError, match=r"blocks\.0\.lora"):
        to_original({"blocks.0.lora": 1})
