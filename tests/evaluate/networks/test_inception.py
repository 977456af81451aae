import numpy as np
import pytest
import torch
from published import assert_published, filled, noise, published

from motionloom.errors import CheckpointError, InputError
from motionloom.evaluate.networks.inception import frame_features, load_inception


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    file = tmp_path_factory.mktemp("inception") / "pt_inception.pth"
    # The published file has counters of training steps or not, with the version of torch it was saved by.
    torch.save(filled("inception") | {"Mixed_7c.branch1x1.bn.num_batches_tracked": torch.tensor(0)}, file)
    return load_inception(file)


@pytest.mark.slow
def test_features_are_those_of_the_published_program(network):
    assert_published("inception", frame_features(network, noise(2, 120, 160, 3)), 1e-4)


@pytest.mark.slow
def test_batches_do_not_matter(network):
    frames = noise(2, 40, 30, 3)
    np.testing.assert_allclose(frame_features(network, frames, batch=1), frame_features(network, frames), atol=1e-4)
    assert frame_features(network, frames[:0]).shape == (0, 2048)


def test_only_frames_are_taken(network):
    with pytest.raises(InputError, match=r"frames: found float64 \(2, 8, 8, 3\), expected uint8"):
        frame_features(network, np.zeros((2, 8, 8, 3)))  # pyright: ignore[reportArgumentType]


def test_a_file_of_another_network_is_refused(tmp_path):
    tensors = {key: torch.zeros(1).expand(shape) for key, shape in published("inception")["keys"].items()}
    del tensors["Mixed_5b.branch1x1.conv.weight"]
    tensors |= {"fc.weight": torch.zeros(1).expand(1000, 2048), "AuxLogits.fc.weight": torch.zeros(1)}
    torch.save(tensors, tmp_path / "other.pth")
    with pytest.raises(CheckpointError) as error:
        load_inception(tmp_path / "other.pth")
    for part in ("1 missing (Mixed_5b.branch1x1.conv.weight)", "1 unexpected (AuxLogits.fc.weight)", "fc.weight: file"):
        assert part in str(error.value)
