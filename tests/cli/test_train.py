"""What the training commands pass on and refuse; the recipes themselves are tested with the library."""

import json
import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def recipes(monkeypatch):
    """Stand-ins for the real recipes, whose import alone takes seconds; says what they were called with."""
    given = {}

    def train(out, *, on_progress, **options):
        on_progress({"elapsed": 1.0, "budget": 2.0})
        given.update(options, out=out)
        return out / "adapter"

    def train_on_folder(out, data, base, *, on_progress, **options):
        on_progress({"step": 1, "steps": 2})
        given.update(options, out=out, data=data, base=base)
        return out / "adapter"

    recipe = SimpleNamespace(train=train, ToraRecipe=lambda **values: SimpleNamespace(**values))
    monkeypatch.setitem(sys.modules, "motionloom.train.tora.recipe", recipe)
    own = SimpleNamespace(train_on_folder=train_on_folder)
    monkeypatch.setitem(sys.modules, "motionloom.train.tora.folder_training", own)
    return given


def test_train_tora_passes_its_options(folder, call, recipes):
    done = call("train", "tora", "--budget", "40m", "--out", "there", "--seed", 5, "--design", "extra_channel")
    assert done.code == 0, done.err
    assert (recipes["budget"], recipes["resume"], str(recipes["out"])) == (2400, False, "there")
    assert (recipes["recipe"].seed, recipes["recipe"].design) == (5, "extra_channel")
    assert "motionloom generate -m there/adapter --base there/base" in done.out


def test_train_tora_on_own_videos(folder, call, recipes):
    given = ("--data", "mine", "--base", "cog", "--steps", 9, "--size", "64x48", "--frames", 9, "--camera", "still")
    done = call("train", "tora", *given, "--resume", "--gradient-checkpointing")
    assert done.code == 0, done.err
    assert (recipes["steps"], recipes["size"], recipes["num_frames"]) == (9, (48, 64), 9)
    assert (recipes["camera"], recipes["resume"], str(recipes["data"])) == ("still", True, "mine")
    assert (recipes["gradient_checkpointing"], recipes["motion_vae"]) == (True, None)
    assert "--base cog" in done.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--data", "mine"), "--data, --base: go together"),
        (("--steps", "9"), "are for training with --data"),
        (("--gradient-checkpointing",), "are for training with --data"),
        (("--budget", "soon"), "--budget"),
    ],
)
def test_train_tora_refuses_halves(folder, call, recipes, given, said):
    done = call("train", "tora", *given)
    assert done.code == 2
    assert said in done.err
    assert not recipes


def test_train_motion_vae_says_what_it_won(folder, call, monkeypatch):
    def tune_motion_vae(out, vae, *, recipe, on_progress, **options):
        assert (vae, recipe.steps, recipe.size) == ("loaded cog", 3, (32, 64))
        on_progress({"step": 1, "steps": 3})
        (folder / "vae").mkdir()
        facts = {"psnr_before": {"dense": 20.0}, "psnr_after": {"dense": 24.5}}
        (folder / "vae" / "training.json").write_text(json.dumps(facts))
        return folder / "vae"

    tuning = SimpleNamespace(
        tune_motion_vae=tune_motion_vae,
        load_vae=lambda path: f"loaded {path}",
        MotionVaeRecipe=lambda **values: SimpleNamespace(**values),
    )
    monkeypatch.setitem(sys.modules, "motionloom.train.tora.motion_vae", tuning)
    done = call("train", "motion-vae", "cog", "--steps", 3, "--size", "64x32")
    assert done.code == 0, done.err
    assert "dense 20.0 to 24.5 dB" in done.out


@pytest.fixture
def nano(monkeypatch):
    """Stands in for nano's recipe; tells of a validation and of two steps."""
    given = {}

    def train(out, *, on_progress, **options):
        on_progress({"step": 1, "elapsed": 60.0, "budget": 120.0, "loss": 0.5})
        scores = {"psnr_unguided": 18.04, "psnr_wan_move": 21.5, "clips": "validation/000002"}
        on_progress({"step": 2, "elapsed": 120.0, "budget": 120.0, "loss": 0.25, **scores})
        given.update(options, out=out)
        return out / "nano"

    recipe = SimpleNamespace(
        train=train,
        NanoRecipe=lambda **values: SimpleNamespace(**values),
        training_device=lambda name: SimpleNamespace(type=(name or "cpu").split(":")[0]),
    )
    monkeypatch.setitem(sys.modules, "motionloom.train.nano", recipe)
    return given


def test_train_nano_tells_its_scores(folder, call, nano):
    done = call("train", "nano", "--budget", "2m", "-o", "there")
    assert done.code == 0, done.err
    told, last = done.out.splitlines()
    assert (
        told == "step 2, 2 min, loss 0.2500; PSNR, dB: unguided 18.0, wan move 21.5; clips in there/validation/000002"
    )
    assert last.startswith("there/nano: trained")
    assert (nano["steps"], nano["checkpoint_every"], nano["validate_every"], nano["resume"]) == (None, 120, 300, False)


def test_the_first_of_several_processes_talks(folder, call, nano, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    done = call("train", "nano", "--budget", "2m")
    assert (done.code, nano["budget"]) == (0, 120)
    assert "trained" not in done.out


@pytest.mark.parametrize(
    ("given", "scale"),
    [((), 1), (("--device", "cuda:1"), 8), (("--device", "cuda", "--batch-scale", 3), 3), (("--batch-scale", 2), 2)],
)
def test_a_gpu_gets_larger_batches(folder, call, nano, given, scale):
    done = call("train", "nano", "--budget", "2m", *given)
    assert done.code == 0, done.err
    assert nano["recipe"].batch_scale == scale


def test_a_resumed_training_keeps_its_batches_on_another_device(folder, call, nano):
    (folder / "there" / "nano").mkdir(parents=True)
    (folder / "there" / "nano" / "training.json").write_text(json.dumps({"recipe": {"batch_scale": 8}}))
    for given, scale in ((("--resume",), 8), ((), 1), (("--resume", "--batch-scale", 2), 2)):
        done = call("train", "nano", "--budget", "2m", "--out", "there", *given)
        assert done.code == 0, done.err
        assert nano["recipe"].batch_scale == scale


def test_train_nano_by_steps(folder, call, nano):
    done = call("train", "nano", "--steps", 9, "--checkpoint-every", "30s", "--validate-every", "1h", "--resume")
    assert done.code == 0, done.err
    assert (nano["steps"], nano["checkpoint_every"], nano["validate_every"], nano["resume"]) == (9, 30, 3600, True)
    refused = call("train", "nano", "--validate-every", "often")
    assert refused.code == 2
    assert "--validate-every: found 'often'" in refused.err
