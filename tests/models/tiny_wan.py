"""A whole Wan 2.1 or 2.2 pipeline with random weights: transformer, VAE, text encoder, tokenizer, CLIP."""

from __future__ import annotations

from typing import Any

import torch


def tokenizer() -> Any:
    """Words by their place in a small vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", "a", "cat", "looks", "up", "dog", "blurry", "camera", "orbits"]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def text_encoder(seed: int = 5) -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(seed)
    config = UMT5Config(vocab_size=16, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    return UMT5EncoderModel(config).eval()


def transformer(seed: int, clip: bool) -> Any:
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36,
        out_channels=16,
        text_dim=8,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        image_dim=16 if clip else None,
        added_kv_proj_dim=24 if clip else None,
        rope_max_seq_len=64,
    ).eval()


def pipeline(*, experts: int = 1) -> Any:
    """A stock `WanImageToVideoPipeline`: with CLIP and one expert as Wan 2.1, or two experts as Wan 2.2 A14B."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ).eval()
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    one = experts == 1
    pipe = WanImageToVideoPipeline(
        tokenizer=tokenizer(),
        text_encoder=text_encoder(),
        vae=vae,
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=transformer(1, clip=one),
        transformer_2=None if one else transformer(2, clip=False),
        image_encoder=CLIPVisionModel(vision).eval() if one else None,
        image_processor=CLIPImageProcessor(size={"height": 28, "width": 28}, crop_size=28) if one else None,
        boundary_ratio=None if one else 0.9,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
