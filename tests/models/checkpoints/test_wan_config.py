from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from motionloom.models.checkpoints.source import TensorSource, open_source
from motionloom.models.checkpoints.wan_transformer import config_of, load_transformer


def test_heads_cannot_be_guessed_for_odd_sizes(wan: SimpleNamespace, refused: Callable[..., str]) -> None:
    source = TensorSource.of(wan.weights(wan.tiny()))
    assert "num_attention_heads" in refused(config_of, source)
    assert config_of(source, {"num_heads": 2, "dim": 64})["attention_head_dim"] == 32
    assert "3 heads of 21" in refused(config_of, source, {"num_attention_heads": 3})


def test_a_configuration_of_another_model_is_refused(
    wan: SimpleNamespace, tmp_path: Path, refused: Callable[..., str]
) -> None:
    wan.save_original(wan.tiny(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_layers": 40, "ffn_dim": 13824}))
    message = refused(load_transformer, tmp_path)
    assert "num_layers is 40 there and 2 in the weights" in message
    assert "ffn_dim is 13824 there and 128 in the weights" in message
    assert str(tmp_path / "config.json") in message


def test_a_configuration_of_something_else_in_the_folder_is_passed_over(wan: SimpleNamespace, tmp_path: Path) -> None:
    path = wan.save_weights(
        wan.weights(wan.tiny(num_attention_heads=1, attention_head_dim=128)), tmp_path / "m.safetensors"
    )
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKLWan", "z_dim": 16}')
    assert config_of(open_source(path))["num_attention_heads"] == 1
