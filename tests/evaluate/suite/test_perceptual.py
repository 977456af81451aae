from pathlib import Path

import numpy as np
import pytest
import torch
from slides import FPS, sliding

from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.networks.backbones import alexnet
from motionloom.evaluate.networks.lpips import load_lpips
from motionloom.evaluate.perceptual import gms_dissim, lpips
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.media import Clip

NAMES = tuple(
    f"{pair}_{kind}" for pair in ("first_last", "endpoint_first", "endpoint_last") for kind in ("lpips", "gms_dissim")
)
ALL = ("lpips_alex", "lpips_vgg", "gms_dissim", *NAMES)


class LocalTools(Tools):
    """Weights of any content: the published ones are known by their checksum."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.loaded = folder, 0

    def path(self, name: str) -> Path:
        path = self.folder / f"{name}.pth"
        return path if path.exists() else super().path(name)

    def network(self, name, build):
        def counted(path: Path):
            self.loaded += 1
            return build(path)

        return super().network(name, counted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    backbone = alexnet()
    torch.save(backbone.state_dict(), folder / "alexnet.pth")
    heads = {f"lin{number}.model.1.weight": torch.rand(1, c, 1, 1) for number, c in enumerate(backbone.channels)}
    torch.save(heads, folder / "lpips-alex.pth")
    return folder


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))


def test_lpips_where_its_weights_are_and_gradients_beside_it(picture, folder):
    made, true = sliding(picture, 2), sliding(picture, 3)
    sample = Sample("a", Clip(made, FPS), reference=Clip(true, FPS), first_image=picture, last_image=picture)
    tools = LocalTools(folder)
    values = {each.name: each for each in measure(sample, tools, metrics=ALL)}
    network = load_lpips("alex", folder / "alexnet.pth", folder / "lpips-alex.pth")
    expected = lpips(made, true, network)
    assert values["lpips_alex"].value == pytest.approx(expected.mean(), rel=1e-5)
    assert values["lpips_alex"].curve == pytest.approx(tuple(expected), rel=1e-5, abs=1e-8)
    assert values["lpips_alex_first16"].value == values["lpips_alex"].value
    assert values["lpips_alex"].weights.name == "alexnet+lpips-alex"
    assert [len(each) for each in values["lpips_alex"].weights.sha256.split("+")] == [64, 64]
    ends = lpips(made[[0, 0, -1]], np.stack([made[-1], picture, picture]), network)
    names = ("first_last_lpips", "endpoint_first_lpips", "endpoint_last_lpips")
    assert [values[name].value for name in names] == pytest.approx(list(ends), rel=1e-5, abs=1e-8)
    assert tools.loaded == 1
    assert values["gms_dissim"].curve == tuple(gms_dissim(made, true))
    assert values["endpoint_last_gms_dissim"].value == gms_dissim(made[-1:], picture[None])[0]
    for name, each in values.items():
        assert each.fallback == name.endswith("gms_dissim")
        assert each.better == (None if name.startswith("first_last") else "lower")


def test_a_network_that_is_not_here_names_its_file_and_the_rest_runs(picture, folder):
    made = sliding(picture, 2)
    sample = Sample("a", Clip(made, FPS), reference=Clip(sliding(picture, 3), FPS))
    values = {each.name: each for each in measure(sample, LocalTools(folder), metrics=ALL)}
    assert values["lpips_vgg"].value is None
    assert "vgg16-397923af.pth" in values["lpips_vgg"].reason
    assert values["lpips_alex"].value > 0
    assert "endpoint_first_lpips" not in values
    assert values["gms_dissim"].value > 0


def test_one_frame_and_small_frames(picture, folder):
    tools = LocalTools(folder)
    one = measure(Sample("a", Clip(picture[None], FPS)), tools, metrics=ALL)
    assert {each.name: each.reason for each in one} == {
        "first_last_lpips": "the video has one frame",
        "first_last_gms_dissim": "the video has one frame",
    }
    small = measure(Sample("a", Clip(np.zeros((2, 20, 40, 3), np.uint8), FPS)), tools, metrics=ALL)
    assert small[0].name == "first_last_lpips"
    assert "found 20x40 pixels, expected at least 31" in small[0].reason
    assert small[1].value == 0
