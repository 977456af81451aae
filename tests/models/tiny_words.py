"""A tiny Wan pipeline of random weights that reads words, unguided, and a run of it that ends in latents."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).parent))
import tiny_guided

make_transformer = functools.partial(tiny_guided.make_transformer, layers=3, text_dim=16, ffn_dim=48)


def make_text_encoder():
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(5)
    return UMT5EncoderModel(
        UMT5Config(vocab_size=40, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4, num_decoder_layers=2)
    ).eval()


class Words:
    """A tokenizer of 40 words, in as much of its interface as the pipeline uses."""

    def __call__(self, prompt, max_length, **_):
        from types import SimpleNamespace

        ids = torch.zeros(len(prompt), max_length, dtype=torch.long)
        for row, text in enumerate(prompt):
            found = [sum(map(ord, word)) % 39 + 1 for word in text.split()]
            ids[row, : len(found)] = torch.tensor(found)
        return SimpleNamespace(input_ids=ids, attention_mask=(ids > 0).long())


def make_pipeline(experts: int = 1) -> Any:
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline

    torch.manual_seed(0)
    pipe = WanImageToVideoPipeline(
        tokenizer=Words(),
        vae=tiny_guided.make_vae(),
        text_encoder=make_text_encoder(),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=make_transformer(),
        transformer_2=make_transformer(1) if experts == 2 else None,
        boundary_ratio=0.8 if experts == 2 else None,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipeline: Any, **changes: Any) -> torch.Tensor:
    text = {
        "prompt": "a red house",
        "negative_prompt": "blur",
        "prompt_embeds": None,
        "negative_prompt_embeds": None,
        "max_sequence_length": 16,
    }
    with torch.no_grad():
        return tiny_guided.run(pipeline, 3, **text, **changes)
