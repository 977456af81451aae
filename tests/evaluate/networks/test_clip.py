import json

import numpy as np
import pytest
import torch
from published import noise
from safetensors.torch import load_file
from tiny_encoders import make_clip, make_dino

from motionloom.errors import CheckpointError
from motionloom.evaluate.networks.clip import ClipEncoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip"))


def test_features_of_frames_are_projected_and_independent_of_batches(folder):
    from transformers import CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    frames = noise(5, 40, 70, 3)
    found = ClipEncoder(folder, batch=2).images(frames)
    assert found.shape == (5, 12)
    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    with torch.no_grad():
        hidden = model.vision_model(**processor(list(frames), return_tensors="pt")).pooler_output
        expected = model.visual_projection(hidden)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert np.abs(ClipEncoder(folder).images(frames, "vbench") - found).max() > 1e-3


def test_a_prompt_is_cut_to_77_tokens(folder):
    encoder = ClipEncoder(folder)
    short, cut, longer = encoder.texts(["a cat", "cat " * 75, "cat " * 75 + "dog"])
    np.testing.assert_allclose(cut, longer, atol=1e-6)
    assert np.abs(short - cut).max() > 0.1
    np.testing.assert_allclose(encoder.texts(["a cat"])[0], short, atol=1e-5)  # padding does not tell


def test_the_published_folder_opens(tmp_path, folder):
    """`openai/clip-vit-base-patch32` (2021): a torch file with indices in it, and 2 as the end of text."""
    make_clip(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for part, positions in (("text_model", 77), ("vision_model", 17)):
        tensors[f"{part}.embeddings.position_ids"] = torch.arange(positions)[None]
    torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (tmp_path / "model.safetensors").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"] |= {"bos_token_id": 0, "eos_token_id": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ours, theirs = ClipEncoder(folder), ClipEncoder(tmp_path)
    prompts = ["a cat", "cat cat cat"]
    np.testing.assert_allclose(theirs.texts(prompts), ours.texts(prompts), atol=1e-6)
    frames = noise(2, 40, 70, 3)
    np.testing.assert_allclose(theirs.images(frames), ours.images(frames), atol=1e-6)


@pytest.mark.slow
def test_other_folders_are_refused(tmp_path, folder):
    with pytest.raises(CheckpointError, match=r"found no config\.json"):
        ClipEncoder(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"not those of CLIPModel: \d+ missing .* unexpected"):
        ClipEncoder(make_dino(tmp_path / "dino"))
    encoder = ClipEncoder(make_clip(tmp_path / "no tokenizer"))
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / "no tokenizer" / name).unlink()
    with pytest.raises(CheckpointError, match=r"found a tokenizer of \d+ words, expected 60 as the model has"):
        encoder.texts(["a cat"])
