import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import Cancelled, InputError
from motionloom.jobs import Job
from motionloom.media import Clip, image_digest, read_image, read_provenance, write_image
from motionloom.provenance import read_motion_record

ARGUMENTS = ("generate", "photo.png", "slide.motion.json", "-m")


def test_generate_writes_a_clip_that_knows_how_it_was_made(folder, call):
    done = call(*ARGUMENTS, "warp", "-o", "out.mp4", "--seed", 3, "--frames", 5, "--strength", 0.5)
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].startswith("out.mp4: 5 frames at 4 fps, 48x32, warp, seed 3")
    record = read_provenance("out.mp4")
    assert record["image"] == {
        "path": "photo.png",
        "sha256": image_digest("photo.png"),
        "path_from_clip": "photo.png",
    }
    assert record["motion"]["name"] == "slide.motion.json"
    assert record["motion"]["record"]["document"]["instructions"][0]["kind"] == "region"
    assert record["model"]["name"] == "warp"
    assert len(record["model"]["digest"]) == 64
    assert {"seed": 3, "num_frames": 5, "strength": 0.5}.items() <= record["parameters"].items()
    assert record["command"][0] == "motionloom"
    assert set(record["versions"]) >= {"motionloom", "python", "torch", "numpy"}


def test_again_gives_the_same_frames(folder, call):
    # PNG keeps every pixel; x264 does not encode frames as tiny as these the same way each time.
    assert call(*ARGUMENTS, "warp", "-o", "out/").code == 0
    again = call("generate", "--again", "out/")
    assert again.code == 0
    assert again.lines[-1] == "the frames are those of out, bit for bit"
    first, second = Clip.load("out"), Clip.load("out.again")
    assert np.array_equal(first.frames, second.frames)
    assert first.digest() == first.provenance["frames_sha256"] == second.provenance["frames_sha256"]
    assert first.provenance["fingerprint"] == second.provenance["fingerprint"]
    assert call(*ARGUMENTS, "warp", "-o", "out.mp4").code == 0
    again = call("generate", "--again", "out.mp4")
    assert again.lines[-1] == "the frames are those of out.mp4, bit for bit"
    assert read_provenance("out.again.mp4")["frames_sha256"] == first.digest()


@pytest.mark.slow
def test_again_works_from_tracks_and_from_elsewhere(folder, call, monkeypatch):
    assert call("tracks", "convert", "slide.motion.json", "slide.npz", "--to", "cotracker").code == 0
    made = call("generate", "photo.png", "slide.npz", "-m", "warp", "-o", "clips/out.webp")
    assert made.code == 0, made.err
    (folder / "slide.npz").unlink()
    (folder / "slide.motion.json").unlink()
    monkeypatch.chdir(folder / "clips")
    assert call("generate", "--again", "out.webp", "-o", "two.webp").lines[-1].endswith("bit for bit")
    os.rename(folder / "photo.png", folder / "moved.png")
    lost = call("generate", "--again", "out.webp", "-o", "three.webp")
    assert lost.code == 2
    assert "--image" in lost.err
    assert call("generate", "--again", "out.webp", "-o", "three.webp", "--image", "../moved.png").code == 0
    write_image(folder / "other.png", np.zeros((32, 48, 3), np.uint8))
    other = call("generate", "--again", "out.webp", "-o", "four.webp", "--image", "../other.png")
    assert other.code == 2
    assert "is not the file" in other.err


def test_again_refuses_other_weights_unless_forced(folder, call, fake):
    assert call(*ARGUMENTS, "fake", "-o", "out.mp4").code == 0
    fake.digest = "e2" * 32
    refused = call("generate", "--again", "out.mp4")
    assert refused.code == 1
    assert "weights are not those" in refused.err
    assert not (folder / "out.again.mp4").exists()
    forced = call("generate", "--again", "out.mp4", "--force")
    assert forced.code == 0
    assert "weights are not those" in forced.err
    assert forced.lines[-1].endswith("bit for bit")


@pytest.mark.slow
def test_again_says_when_frames_differ(folder, call, fake, monkeypatch):
    assert call(*ARGUMENTS, "fake", "-o", "out.mp4").code == 0
    honest = type(fake).render
    monkeypatch.setattr(type(fake), "render", lambda self, request: 255 - honest(self, request))
    different = call("generate", "--again", "out.mp4")
    assert different.code == 1
    assert "frames differ" in different.err
    assert call("generate", "--again", "out.mp4", "--force", "--overwrite").code == 0


def test_options_reach_the_model_under_their_names(folder, call, fake):
    write_image(folder / "last.png", np.zeros((32, 48, 3), np.uint8))
    done = call(
        *ARGUMENTS, "some/model", "-o", "out.mp4", "-p", "hello", "--negative-prompt", "no", "--seed", 9, "--size",
        "64x32", "--frames", 7, "--fps", 12, "--steps", 4, "--guidance-scale", 2.5, "--strength", 0.7, "--window",
        "0.1:0.6", "--last-image", "last.png", "--method", "ati", "--device", "cpu", "--no-densify",
    )  # fmt: skip
    assert done.code == 0, done.err
    run = {"size": (32, 64), "num_frames": 7, "num_videos": 1}  # what memory is planned for
    assert fake.loaded == {"name": "some/model", "method": "ati", "device": "cpu", **run}
    (given,) = fake.calls
    expected = {
        "prompt": "hello", "negative_prompt": "no", "seed": 9, "size": (32, 64), "num_frames": 7,
        "num_inference_steps": 4, "guidance_scale": 2.5, "strength": 0.7, "window": (0.1, 0.6), "densify": False,
    }  # fmt: skip
    assert {name: getattr(given, name) for name in expected} == expected
    assert given.tracks.fps == 12.0
    assert (given.last_image == 0).all()
    assert (given.image == read_image(folder / "photo.png")).all()
    again = call("generate", "--again", "out.mp4")
    assert again.code == 0, again.err
    repeated = fake.calls[-1]
    assert {name: getattr(repeated, name) for name in expected} == expected
    assert repeated.tracks == given.tracks


def test_the_motion_brings_its_prompt_and_a_seed_can_be_drawn(folder, call, fake):
    assert call(*ARGUMENTS, "fake", "-o", "a.mp4", "--seed", -1).code == 0
    assert call(*ARGUMENTS, "fake", "-o", "b.mp4", "--seed", -1, "-p", "mine").code == 0
    first, second = fake.calls
    assert (first.prompt, second.prompt) == ("a square slides", "mine")
    assert first.seed >= 0
    assert first.seed != second.seed
    assert call("generate", "--again", "a.mp4").lines[-1].endswith("bit for bit")


def test_everything_beside_the_clip(folder, call):
    flags = ("--overlay", "--side-by-side", "--contact-sheet")
    done = call(*ARGUMENTS, "warp", "-o", "new/out.mp4", *flags)
    assert done.code == 0, done.err
    clip = Clip.load("new/out.mp4")
    assert Clip.load("new/out.overlay.mp4").size == clip.size
    assert Clip.load("new/out.side_by_side.mp4").num_frames == clip.num_frames
    assert Clip.load("new/out.side_by_side.mp4").size[1] >= 2 * clip.size[1]
    assert read_image("new/out.contact_sheet.png").shape[1] > clip.size[1]
    assert sorted(os.listdir("new")) == [
        "out.contact_sheet.png", "out.mp4", "out.overlay.mp4", "out.side_by_side.mp4",
    ]  # fmt: skip
    for name in os.listdir("new"):
        if name != "out.overlay.mp4":
            os.remove(f"new/{name}")
    refused = call(*ARGUMENTS, "warp", "-o", "new/out.mp4", *flags)
    assert refused.code == 2
    assert "out.overlay.mp4: exists" in refused.err
    assert os.listdir("new") == ["out.overlay.mp4"], "work began although the result could not be written"


def test_existing_files_are_safe(folder, call, fake):
    (folder / "out.mp4").write_text("precious")
    refused = call(*ARGUMENTS, "fake", "-o", "out.mp4")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert (folder / "out.mp4").read_text() == "precious"
    assert fake.calls == []
    assert call(*ARGUMENTS, "fake", "-o", "out.mp4", "--overwrite").code == 0
    assert Clip.load("out.mp4").num_frames == 5


def test_preview_is_the_warp(folder, call):
    done = call("preview", "photo.png", "slide.motion.json")
    assert done.code == 0, done.err
    assert Clip.load("photo.preview.mp4").num_frames == 9
    assert read_provenance("photo.preview.mp4")["model"]["name"] == "warp"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Cancelled("stop")])
def test_stopping_leaves_nothing(folder, call, fake, stop):
    before = sorted(os.listdir())
    fake.fail = stop
    done = call(*ARGUMENTS, "fake", "-o", "out.mp4")
    assert done.code == 130
    assert done.err.startswith("motionloom: stopped")
    assert sorted(os.listdir()) == before


@pytest.mark.slow
def test_a_killed_run_leaves_nothing(folder):
    """SIGINT in the middle of the encoder, as Ctrl-C sends it."""
    script = (
        "import av, os, signal, sys, time\n"
        "from motionloom.cli import main\n"
        # A background job inherits an ignored SIGINT; on a terminal it is not.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "real = av.VideoFrame.from_ndarray\n"
        "def slow(*a, **k):\n"
        "    print('encoding', flush=True); time.sleep(20); return real(*a, **k)\n"
        "av.VideoFrame.from_ndarray = staticmethod(slow)\n"
        "main(['preview', 'photo.png', 'slide.motion.json', '-o', 'out.mp4'])\n"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "encoding\n"
        time.sleep(0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert err == "motionloom: stopped; nothing half-written is left behind\n"
        assert sorted(os.listdir(folder)) == ["photo.png", "slide.motion.json"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate"], "IMAGE: missing"),
        (["generate", "slide.motion.json", "photo.png"], "the photograph comes first"),
        (["generate", "photo.png"], "MOTION: missing"),
        (["generate", "none.png", "slide.motion.json", "-m", "warp"], "none.png: no such file"),
        (["generate", "photo.png", "none.json", "-m", "warp"], "none.json: no such file"),
        (["generate", "slide.motion.json", "slide.motion.json", "-m", "warp"], "not an image"),
        (["generate", "photo.png", "photo.png", "-m", "warp"], "photo.png"),
        (["generate", "photo.png", "slide.motion.json", "-m", "dream"], "dream"),
        (["generate", "photo.png", "slide.motion.json", "--size", "big"], "WIDTHxHEIGHT"),
        (["generate", "photo.png", "slide.motion.json", "--window", "1"], "START:END"),
        (["generate", "photo.png", "slide.motion.json", "--window", "0.9:0.1"], "start <= end"),
        (["generate", "photo.png", "slide.motion.json", "--fps", "0"], "fps: found 0"),
        (["generate", "photo.png", "slide.motion.json", "--frames", "0"], "--frames"),
        (["generate", "photo.png", "slide.motion.json", "-m", "warp", "-o", "a.avi"], ".avi"),
        (["generate", "photo.png", "slide.motion.json", "-m", "warp", "-o", "photo.png/a.mp4"], "is a file"),
        (["generate", "photo.png", "slide.motion.json", "-m", "warp", "--strength", "nan"], "strength: found nan"),
        (["generate", "photo.png", "slide.motion.json", "-m", "warp", "--guidance-scale", "inf"], "guidance_scale"),
        (["generate", "photo.png", "slide.motion.json", "-m", "warp", "--fps", "inf"], "fps"),
        (["generate", "photo.png", ".", "-m", "warp"], "is a folder, expected a motion"),
        (["generate", "photo.png", "slide.motion.json", "--force"], "--again"),
        (["generate", "--again", "photo.png"], "no provenance"),
        (["generate", "--again", "none.mp4"], "no such file"),
        (["generate", "--again", "none.mp4", "--steps", "3"], "--steps: cannot be given with --again"),
        (["generate", "photo.png", "slide.motion.json", "--frobnicate"], "No such option"),
        (["preview", "photo.png"], "motion"),
        (["dance"], "No such command"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(folder, call, arguments, words):
    before = sorted(os.listdir())
    done = call(*arguments)
    assert done.code == 2
    assert words.lower() in done.err.lower()
    assert done.err.startswith("motionloom: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    assert sorted(os.listdir()) == before


def test_a_name_that_cannot_be_written_is_refused_before_the_run(folder, call, fake, monkeypatch):
    assert call(*ARGUMENTS, "fake", "-o", "out.txt").code == 2
    assert call(*ARGUMENTS, "fake", "-o", "photo.png/out.mp4").code == 2
    assert fake.calls == []
    fake.fail = FileNotFoundError(2, "No such file or directory", "/gone/weights")
    done = call(*ARGUMENTS, "fake", "-o", "out.mp4")
    assert (done.code, done.err) == (1, "motionloom: /gone/weights: No such file or directory\n")


def test_unexpected_errors_are_one_line_too_and_can_be_traced(folder, call, fake, monkeypatch):
    fake.fail = RuntimeError("the tensor\nexploded")
    done = call(*ARGUMENTS, "fake", "-o", "out.mp4")
    assert done.code == 1
    assert done.err == "motionloom: RuntimeError: the tensor exploded (MOTIONLOOM_DEBUG=1 shows where)\n"
    monkeypatch.setenv("MOTIONLOOM_DEBUG", "1")
    with pytest.raises(RuntimeError, match="exploded"):
        call(*ARGUMENTS, "fake", "-o", "out.mp4")


def test_version_and_help(call):
    from motionloom import __version__

    assert call("--version").out == f"motionloom {__version__}\n"
    assert "generate" in call("--help").out
    assert call().code == 2


def batch(folder, *entries, name="jobs.yaml"):
    (folder / name).write_text(json.dumps(entries))
    return name


ITEM = {"image": "photo.png", "track": "slide.motion.json", "text": None}


def test_batch_layout_and_results(folder, call):
    file = batch(folder, {**ITEM, "name": "first"}, {**ITEM, "frames": 5, "seed": 4})
    done = call("generate", file, "-m", "warp", "-o", "res")
    assert done.code == 0, done.err
    found = sorted(str(path.relative_to(folder / "res")) for path in (folder / "res").rglob("*") if path.is_file())
    assert found == [
        "images_tracks/first.motion.json", "images_tracks/first.png",
        "images_tracks/photo-slide.motion.json", "images_tracks/photo-slide.png",
        "overlays/first.mp4", "overlays/photo-slide.mp4",
        "results.jsonl",
        "videos/first.mp4", "videos/photo-slide.mp4",
    ]  # fmt: skip
    results = [json.loads(line) for line in (folder / "res" / "results.jsonl").read_text().splitlines()]
    assert [(r["name"], r["status"], r["seed"]) for r in results] == [("first", "done", 0), ("photo-slide", "done", 4)]
    assert results[1]["video"] == "videos/photo-slide.mp4"
    assert Clip.load("res/videos/photo-slide.mp4").num_frames == 5
    assert read_image("res/images_tracks/first.png").shape == (32, 48, 3)
    assert done.lines[-1] == "2 done, 0 skipped, 0 failed; see res/results.jsonl"


def test_one_failure_does_not_stop_the_rest(folder, call, fake):
    file = batch(folder, {**ITEM, "image": "gone.png"}, {**ITEM, "fps": -1}, {**ITEM, "name": "good"})
    done = call("generate", file, "-m", "fake", "-o", "res", "--no-overlay")
    assert done.code == 1
    results = [json.loads(line) for line in (folder / "res" / "results.jsonl").read_text().splitlines()]
    assert [r["status"] for r in results] == ["failed", "failed", "done"]
    assert "gone.png: no such file" in results[0]["error"]
    assert "fps" in results[1]["error"]
    assert done.lines[-1].startswith("1 done, 0 skipped, 2 failed")
    assert not (folder / "res" / "overlays").exists()


@pytest.mark.slow
def test_finished_items_are_skipped_and_changed_ones_run_again(folder, call, fake):
    entries = [{**ITEM, "name": name, "seed": -1 if name == "b" else 1} for name in "abc"]
    file = batch(folder, *entries)

    def statuses():
        code = call("generate", file, "-m", "fake", "-o", "res").code
        lines = (folder / "res" / "results.jsonl").read_text().splitlines()
        return code, "".join(json.loads(line)["status"][0] for line in lines)

    assert statuses() == (0, "ddd")
    assert statuses() == (0, "sss")
    assert len(fake.calls) == 3
    entries[0]["steps"] = 5
    batch(folder, *entries)
    assert statuses() == (0, "dss")
    document = json.loads((folder / "slide.motion.json").read_text())
    document["instructions"][1]["points"][0][0] = 39.0
    (folder / "slide.motion.json").write_text(json.dumps(document))
    assert statuses() == (0, "ddd")
    write_image(folder / "photo.png", np.full((32, 48, 3), 9, np.uint8))
    assert statuses() == (0, "ddd")
    fake.digest = "f3" * 32
    assert statuses() == (0, "ddd")
    (folder / "res" / "videos" / "c.mp4").unlink()
    assert statuses() == (0, "ssd")
    (folder / "res" / "overlays" / "a.mp4").unlink()
    assert statuses() == (0, "dss")
    # The order of the file does not matter.
    batch(folder, *entries[::-1])
    assert statuses() == (0, "sss")


def test_foreign_files_in_the_output_folder_are_safe(folder, call, fake):
    file = batch(folder, {**ITEM, "name": "a"})
    (folder / "res" / "videos").mkdir(parents=True)
    (folder / "res" / "videos" / "a.mp4").write_text("precious")
    assert call("generate", file, "-m", "fake", "-o", "res").code == 1
    assert (folder / "res" / "videos" / "a.mp4").read_text() == "precious"
    assert call("generate", file, "-m", "fake", "-o", "res", "--overwrite").code == 0
    assert Clip.load("res/videos/a.mp4").num_frames == 5


def test_stopping_a_batch_keeps_what_is_done(folder, call, fake, monkeypatch):
    file = batch(folder, *({**ITEM, "name": name} for name in "abc"))
    honest = type(fake).render

    def stop_at_second(self, request):
        if len(self.calls) == 2:
            self.fail = KeyboardInterrupt()
        return honest(self, request)

    monkeypatch.setattr(type(fake), "render", stop_at_second)
    assert call("generate", file, "-m", "fake", "-o", "res").code == 130
    assert os.listdir("res/videos") == ["a.mp4"]
    fake.fail = None
    monkeypatch.setattr(type(fake), "render", honest)
    assert call("generate", file, "-m", "fake", "-o", "res").lines[-1].startswith("2 done, 1 skipped, 0 failed")


def test_damaged_batch_files_are_refused_before_anything_runs(folder, call, fake):
    (folder / "jobs.jsonl").write_text('{"image": "photo.png"}\n')
    done = call("generate", "jobs.jsonl", "-o", "res")
    assert done.code == 2
    assert "jobs.jsonl: item 1: motion is missing" in done.err
    assert not (folder / "res").exists()


@pytest.mark.slow
def test_options_of_loading_and_of_the_method_reach_the_model_and_the_record(folder, call, fake):
    done = call(
        *ARGUMENTS, "some/model", "-o", "out.mp4", "--lora", "a.safetensors:0.5:high", "--lora", "b.safetensors",
        "--memory", "low", "--fast", "--base", "parts", "--settings", "diffusers", "--resolution", "480p", "--shift",
        3.5, "--solver", "dpm++", "--guidance-scale-2", 2, "--set", "cfg_mode=split", "--set", "temperature=100.5",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert fake.loaded == {
        "name": "some/model", "device": None, "loras": ("a.safetensors:0.5:high", "b.safetensors"), "memory": "low",
        "fast": True, "base": ("parts",), "settings": "diffusers",
        # The photograph is 48 x 32: so its shape, in about 480 * 832 pixels, is what memory is planned for.
        "size": (512, 768),
        "num_frames": None,
        "num_videos": 1,
    }  # fmt: skip
    (given,) = fake.calls
    assert given.options == {"cfg_mode": "split", "temperature": 100.5}
    assert (given.shift, given.solver, given.guidance_scale_2) == (3.5, "dpm++", 2.0)
    assert given.size[0] * given.size[1] == pytest.approx(480 * 832, rel=0.01)
    assert given.size[1] / given.size[0] == pytest.approx(48 / 32, rel=0.01)
    loaded, record = dict(fake.loaded), read_provenance(folder / "out.mp4")
    assert record["parameters"]["loras"] == ["a.safetensors:0.5:high", "b.safetensors"]
    again = call("generate", "--again", "out.mp4")
    assert again.code == 0, again.err
    assert fake.loaded == loaded
    assert fake.calls[-1].options == given.options
    assert again.lines[-1].endswith("bit for bit")


def test_several_videos_have_their_seed_in_the_name(folder, call, fake):
    done = call(*ARGUMENTS, "fake", "-o", "clips/out.webp", "--num-videos", 3, "--seed", 7)
    assert done.code == 0, done.err
    assert sorted(os.listdir("clips")) == ["out.seed7.webp", "out.seed8.webp", "out.seed9.webp"]
    assert [line.split("seed ")[-1].split(",")[0] for line in done.lines[-3:]] == ["7", "8", "9"]
    assert read_provenance(folder / "clips/out.seed9.webp")["parameters"]["seed"] == 9
    single = call(*ARGUMENTS, "fake", "-o", "one.webp", "--seed", 8)
    assert single.code == 0
    assert Clip.load("one.webp").digest() == Clip.load("clips/out.seed8.webp").digest()
    refused = call(*ARGUMENTS, "fake", "-o", "clips/out.webp", "--num-videos", 2, "--seed", 9)
    assert refused.code == 2
    assert "out.seed9.webp: exists already" in refused.err


def test_a_last_image_needs_no_motion(folder, call, fake):
    write_image(folder / "last.png", np.zeros((32, 48, 3), np.uint8))
    done = call("generate", "photo.png", "--last-image", "last.png", "-m", "fake", "-o", "out.webp")
    assert done.code == 0, done.err
    assert fake.calls[0].tracks.num_tracks == 0
    assert call("generate", "--again", "out.webp").lines[-1].endswith("bit for bit")
    assert "MOTION: missing" in call("generate", "photo.png", "-m", "fake").err


def test_post_processing_of_a_clip(folder, call):
    done = call("preview", "photo.png", "slide.motion.json", "-o", "out.webp", "--post", "interpolate=2")
    assert done.code == 0, done.err
    clip, plain = Clip.load("out.webp"), call("preview", "photo.png", "slide.motion.json", "-o", "plain.webp")
    assert plain.code == 0
    assert clip.num_frames == 2 * Clip.load("plain.webp").num_frames - 1
    assert clip.fps == 16.0
    assert call("generate", "--again", "out.webp").lines[-1].endswith("bit for bit")
    wrong = call("preview", "photo.png", "slide.motion.json", "-o", "x.webp", "--post", "glitter")
    assert wrong.code == 2
    assert "glitter" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "cfg_mode"], "expected NAME=VALUE"),
        (["--set", "UPPER=1"], "expected NAME=VALUE"),
        (["--resolution", "4k"], "expected one of 480p, 720p, 1080p"),
        (["--resolution", "480p", "--size", "64x48"], "beside a size"),
        (["--solver", "magic"], "expected one of unipc"),
        (["--settings", "mine"], "expected one of published, diffusers"),
        (["--shift", "0"], "shift: found 0"),
    ],
)
def test_options_that_cannot_be(folder, call, fake, arguments, message):
    done = call(*ARGUMENTS, "fake", "-o", "out.mp4", *arguments)
    assert done.code == 2
    assert message in done.err
    assert fake.calls == []


def test_batch_items_may_choose_loras_and_options(folder, call, fake):
    entry = {**ITEM, "name": "a", "lora": "x.safetensors:0.5", "set": {"cfg_mode": "joint"}, "resolution": "480p"}
    done = call("generate", batch(folder, entry), "-m", "fake", "-o", "res", "--no-overlay")
    assert done.code == 0, done.err
    assert fake.loaded["loras"] == ("x.safetensors:0.5",)
    assert fake.calls[0].options == {"cfg_mode": "joint"}
    wrong = call("generate", batch(folder, {**ITEM, "set": "cfg_mode"}), "-m", "fake", "-o", "res")
    assert "expected a mapping" in wrong.err


def test_models_that_cannot_be_shared_say_so(folder, monkeypatch):
    monkeypatch.setattr("motionloom.scale.launch.is_worker", lambda: True)
    with pytest.raises(InputError, match="gpus: warp cannot be shared by several processes"):
        Job(folder / "photo.png", None, "warp").load_model()


@pytest.mark.slow
def test_the_motion_of_a_video_moves_the_photograph(folder, call):
    coarse = np.random.default_rng(0).integers(0, 255, (24, 36, 3), dtype=np.uint8)
    write_image(
        folder / "texture.png", np.asarray(Image.fromarray(coarse).resize((192, 128), Image.Resampling.BICUBIC))
    )
    assert call("preview", "texture.png", "slide.motion.json", "-o", "source.mp4", "--quality", 100).code == 0
    done = call("generate", "photo.png", "source.mp4", "-m", "warp", "-o", "out.webp", "--transfer-points", 40)
    assert done.code == 0, done.err
    tracks = read_motion_record(read_provenance(folder / "out.webp")["motion"]["record"])
    assert 25 <= tracks.num_tracks <= 40
    travel = np.linalg.norm(tracks.points[-1] - tracks.points[0], axis=-1)
    assert travel.max() == pytest.approx(16, abs=1)  # the square slides 16 px
    assert np.median(travel) < 0.2
    assert call("generate", "--again", "out.webp").lines[-1].endswith("bit for bit")
    wrong = call(*ARGUMENTS, "warp", "-o", "x.webp", "--transfer-fit", "cover")
    assert wrong.code == 2
    assert "--transfer-fit: for a video as MOTION" in wrong.err


def test_the_prompt_can_be_written_out(folder, call, fake):
    done = call(*ARGUMENTS, "fake", "-o", "out.webp", "-p", "a cat", "--extend-prompt", "motion")
    assert done.code == 0, done.err
    (given,) = fake.calls
    assert given.prompt.startswith("a cat")
    assert len(given.prompt) > len("a cat") + 10
    assert read_provenance(folder / "out.webp")["parameters"]["prompt"] == given.prompt
    fake.loaded = None
    assert "magic" in call(*ARGUMENTS, "fake", "-o", "x.webp", "--extend-prompt", "magic").err
    assert fake.loaded is None  # written out before the model takes the memory
    done = call(*ARGUMENTS, "fake", "-o", "own.webp", "--extend-prompt", "motion")
    assert done.code == 0, done.err
    assert fake.calls[-1].prompt.startswith("a square slides. ")  # without a prompt, the motion's own


def test_a_picture_is_no_motion(folder, call):
    done = call("generate", "photo.png", "photo.png", "-m", "warp", "-o", "x.webp")
    assert done.code == 2
    assert "photo.png: is a picture, expected a motion, tracks or a video" in done.err


def test_text_to_video_needs_a_motion_and_no_photograph(folder, call, dreamer):
    done = call("generate", "slide.motion.json", "-m", "dreamer", "-p", "a square of light")
    assert (done.code, done.err) == (0, ""), done.err
    # Its name is the motion's, its shape that of the motion's canvas.
    assert done.lines == ["slide.dreamer.mp4: 5 frames at 4 fps, 48x32, dreamer, seed 0, 0.0 s"]
    (request,) = dreamer.calls
    assert request.image is None
    assert (request.prompt, request.size, request.tracks.num_tracks > 0) == ("a square of light", (32, 48), True)
    record = read_provenance("slide.dreamer.mp4")
    assert record["image"] is None
    assert record["motion"]["name"] == "slide.motion.json"


def test_text_to_video_with_a_lora_takes_the_only_file_as_its_motion(folder, call, dreamer):
    done = call("generate", "slide.motion.json", "-m", "dreamer", "--lora", "style.safetensors", "-o", "out.webp")
    assert done.code == 0, done.err
    assert dreamer.calls[0].tracks.num_tracks > 0
    refused = call("generate", "slide.motion.json", "-m", "nano", "--lora", "style.safetensors")
    assert "IMAGE: missing, nano starts from a photograph" in refused.err


def test_text_to_video_is_made_again(folder, call, dreamer):
    assert call("generate", "slide.motion.json", "-m", "dreamer", "-o", "out.webp", "--seed", -1).code == 0
    assert call("generate", "--again", "out.webp").lines[-1] == "the frames are those of out.webp, bit for bit"
    assert dreamer.calls[1].prompt == "a square slides"  # the motion's own
    refused = call("generate", "--again", "out.webp", "-o", "b.webp", "--image", "photo.png")
    assert refused.code == 2
    assert "made without a photograph" in refused.err


def test_a_photograph_gives_text_to_video_its_shape_and_nothing_else(folder, call, dreamer):
    write_image(folder / "wide.png", np.zeros((16, 96, 3), np.uint8))
    done = call("generate", "wide.png", "slide.motion.json", "-m", "dreamer", "-o", "out.webp", "--overlay")
    assert done.code == 0, done.err
    assert done.err.count("of the photograph only the shape is used") == 1
    (request,) = dreamer.calls
    assert (request.image, request.size) == (None, (16, 96))
    record = read_provenance("out.webp")
    assert (record["image"], record["parameters"]["size"]) == (None, [16, 96])
    (folder / "wide.png").unlink()
    assert call("generate", "--again", "out.webp").lines[-1].endswith("bit for bit")


@pytest.mark.parametrize(
    ("text", "size"), [("0,0\n256,128\n128,256\n", (32, 64)), ("0,0\n256,128\n128,256\n", (16, 16))]
)
def test_a_file_without_a_canvas_is_drawn_on_the_picture_to_be_made(folder, call, dreamer, text, size):
    (folder / "path.txt").write_text(text)
    given = () if size == (32, 64) else ("--size", f"{size[1]}x{size[0]}")
    done = call("generate", "path.txt", "-m", "dreamer", "-p", "", "-o", "out.webp", *given)
    assert done.code == 0, done.err
    (request,) = dreamer.calls
    assert request.size == size
    # Tora's 256x256 canvas is stretched over the picture: three points, of which the clip shows five.
    np.testing.assert_allclose(request.tracks.points[0, 0], 0, atol=1)
    middle = request.tracks.points[2, 0] / [size[1], size[0]]
    np.testing.assert_allclose(middle, [1.0, 0.5], atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["slide.motion.json"], "IMAGE: missing, nano starts from a photograph"),
        (["slide.motion.json", "-m", "warp"], "motionloom generate IMAGE slide.motion.json -m warp"),
        (["photo.png", "-m", "dreamer", "-p", "x"], "MOTION: missing beside photo.png"),
        (["bare.motion.json", "-m", "dreamer"], "prompt: missing, dreamer makes its picture from it"),
        (["photo.png", "bare.motion.json", "-m", "dreamer"], "prompt: missing"),
        (["none.motion.json", "-m", "dreamer", "-p", "x"], "none.motion.json: no such file"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_loaded(folder, call, dreamer, monkeypatch, arguments, words):
    document = json.loads((folder / "slide.motion.json").read_text())
    del document["prompt"]
    (folder / "bare.motion.json").write_text(json.dumps(document))
    monkeypatch.setattr("motionloom.models.loading.load", lambda *a, **k: pytest.fail("was loaded"))
    refused = call("generate", *arguments)
    assert refused.code == 2
    assert words in refused.err


def test_a_model_known_only_when_loaded_refuses_itself(folder, call, fake):
    refused = call("generate", "slide.motion.json", "-m", "some/model")
    assert refused.code == 2
    assert "image: missing, some/model starts from a photograph" in refused.err


@pytest.mark.slow
def test_a_batch_of_text_to_video(folder, call, dreamer):
    file = batch(folder, {"motion": "slide.motion.json"}, {"motion": "slide.motion.json", "prompt": "blue"})
    assert call("generate", file, "-m", "dreamer", "-o", "res").code == 0
    assert sorted(os.listdir("res/videos")) == ["slide-2.mp4", "slide.mp4"]
    assert read_image("res/images_tracks/slide.png").shape == (32, 48, 3)
    assert [request.prompt for request in dreamer.calls] == ["a square slides", "blue"]
    assert "2 skipped" in call("generate", file, "-m", "dreamer", "-o", "res").lines[-1]
    # Items with a photograph are finished as well, and known again.
    file = batch(folder, {**ITEM, "name": "shaped"})
    assert call("generate", file, "-m", "dreamer", "-o", "res").code == 0
    assert "1 skipped" in call("generate", file, "-m", "dreamer", "-o", "res").lines[-1]
    refused = call("generate", batch(folder, {"motion": "slide.motion.json"}), "-m", "nano", "-o", "res")
    assert "item 1: image is missing" in refused.err


def test_extended_prompts_need_no_photograph(folder, call, dreamer):
    done = call("generate", "slide.motion.json", "-m", "dreamer", "-o", "out.webp", "--extend-prompt", "motion")
    assert done.code == 0, done.err
    assert dreamer.calls[0].prompt.startswith("a square slides")
    assert len(dreamer.calls[0].prompt) > len("a square slides")


@pytest.mark.parametrize(("model", "style"), [("dreamer", "photograph"), ("tora-t2v", "caption")])
def test_prompts_are_extended_as_the_model_was_trained(folder, model, style, monkeypatch, dreamer):
    from motionloom.jobs import Job

    seen = []
    monkeypatch.setattr("motionloom.prompts.extend_prompt", lambda name, context: seen.append(context) or "longer")
    job = Job(None, None, model).with_extended_prompt("motion")
    assert job.parameters.prompt == "longer"
    assert [context.style for context in seen] == [style]


@pytest.mark.slow
def test_a_local_folder_of_tora_makes_videos_from_a_motion(folder, call):
    tiny = runpy.run_path(str(Path(__file__).parents[1] / "models" / "tiny_tora.py"))
    for kind in ("t2v", "learned"):
        pipe = tiny["pipeline"](kind)
        tiny["save_diffusers"](folder / kind, pipe, tiny["adapter"](pipe))
    few = ("--steps", 1, "--frames", 5, "--size", "32x32")
    done = call("generate", "slide.motion.json", "-m", "t2v", *few, "-o", "out.webp")
    assert done.code == 0, done.err
    assert done.lines == [done.lines[0]]
    assert done.lines[0].startswith("out.webp: 5 frames at 4 fps, 32x32, t2v, seed 0")
    details = read_provenance("out.webp")["details"]
    assert (details["method"], details["tracks_seen"]) == ("tora", details["tracks"])
    assert call("generate", "--again", "out.webp").lines[-1] == "the frames are those of out.webp, bit for bit"
    refused = call("generate", "slide.motion.json", "-m", "learned", *few)
    assert "IMAGE: missing, learned starts from a photograph" in refused.err
    done = call("generate", "photo.png", "slide.motion.json", "-m", "learned", *few)
    assert done.code == 0, done.err
    assert read_provenance("photo.learned.mp4")["image"]["path"] == "photo.png"
