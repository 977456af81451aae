from __future__ import annotations

import asyncio
import io
import json
import time
from importlib import resources

import av
import numpy as np
import pytest

from motionloom.studio import previews
from motionloom.studio.documents import parse_motion
from motionloom.studio.previews import Overloaded, Preview, PreviewService, Superseded, essence
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import PreviewRequest

EXAMPLES = resources.files("motionloom") / "examples_data"
PROJECT = "0123456789abcdef"


def document(name="rocket"):
    return json.loads((EXAMPLES / f"{name}.motion.json").read_text(encoding="utf-8"))


def small(num_frames=9, shift=0.0):
    return {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 640, "height": 427},
        "num_frames": num_frames,
        "fps": 8,
        "instructions": [{"kind": "path", "points": [[200 + shift, 200], [300, 220]]}],
    }


@pytest.fixture
def service():
    made = PreviewService(lambda project: EXAMPLES / "rocket.jpg")
    yield made
    made.close()


def request(motion=None, key="tab", **more):
    return PreviewRequest(project=PROJECT, motion=motion or small(), key=key, **{"max_side": 128, **more})


def decoded(video):
    with av.open(io.BytesIO(video)) as container:
        frames = list(container.decode(video=0))
        stream = container.streams.video[0]
        return np.stack([f.to_ndarray(format="rgb24") for f in frames]), float(stream.average_rate), frames


def test_a_preview_is_a_seekable_clip_of_the_warp_at_reduced_size(service):
    made = asyncio.run(service.make(request(document(), max_side=224)))
    assert (made.num_frames, made.fps, made.size, made.drawn_frames) == (49, 16.0, (150, 224), 49)
    pixels, rate, frames = decoded(made.video)
    assert (pixels.shape, rate) == ((49, 150, 224, 3), 16.0)
    assert sum(frame.key_frame for frame in frames) >= 49 // 8
    assert made.video.index(b"moov") < made.video.index(b"mdat")
    image = previews.reduced_picture(EXAMPLES / "rocket.jpg", 224)
    assert np.abs(pixels[0].astype(int) - image).mean() < 4
    # The rocket goes up: what was there shows the sky in the end.
    assert np.abs(pixels[-1].astype(int) - image).mean() > 3


def test_a_long_motion_has_fewer_frames_and_lasts_as_long(service):
    made = asyncio.run(service.make(request(small(num_frames=201), max_frames=41)))
    assert (made.num_frames, made.drawn_frames) == (41, 201)
    assert (made.num_frames - 1) / made.fps == pytest.approx(200 / 8)


def test_the_newest_request_of_a_key_takes_the_place_of_older_ones(service):
    async def draw():
        waiting = []
        for step in range(12):
            waiting.append(asyncio.create_task(service.make(request(small(33, shift=step)))))
            await asyncio.sleep(0.005)
        other = asyncio.create_task(service.make(request(small(5), key="other")))
        return await asyncio.gather(*waiting, return_exceptions=True), await other

    answers, other = asyncio.run(draw())
    assert isinstance(answers[-1], Preview)
    assert isinstance(other, Preview)
    assert {type(each) for each in answers[:-1]} <= {Superseded, Preview}
    assert sum(isinstance(each, Superseded) for each in answers) >= 8
    assert answers[0].code == "superseded"
    assert service._newest == {}
    assert service._waiting == 0


def test_a_request_that_was_overtaken_on_its_way_is_not_the_newest(service):
    async def ask():
        newest = asyncio.create_task(service.make(request(small(33), number=2)))
        await asyncio.sleep(0)
        with pytest.raises(Superseded):
            await service.make(request(small(9), number=1))
        # The same one again, as after a lost answer, and one of another key.
        other = asyncio.create_task(service.make(request(small(5), key="other", number=1)))
        again = asyncio.create_task(service.make(request(small(33), number=2)))
        return await asyncio.gather(newest, again, other, return_exceptions=True)

    newest, again, other = asyncio.run(ask())
    assert isinstance(newest, Superseded)
    assert isinstance(again, Preview)
    assert isinstance(other, Preview)


def test_work_that_nobody_waits_for_stops_at_its_next_frame(service, monkeypatch):
    done = []
    real = previews.render

    def slow(image, motion, max_frames, on_progress):
        def counted(step, total):
            done.append(step)
            time.sleep(0.01)
            on_progress(step, total)

        return real(image, motion, max_frames, counted)

    monkeypatch.setattr(previews, "render", slow)

    async def leave():
        task = asyncio.create_task(service.make(request(small(300), max_frames=241)))
        while not done:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        before = len(done)
        await asyncio.sleep(0.2)
        return before

    assert len(done) <= asyncio.run(leave()) + 3


def test_the_same_motion_again_is_kept_whatever_it_is_called(service, monkeypatch):
    first = asyncio.run(service.make(request()))
    monkeypatch.setattr(previews, "render", None)
    renamed = small()
    renamed["prompt"] = "a rocket"
    renamed["instructions"][0] |= {"name": "Rocket", "color": "#ff0000"}
    assert asyncio.run(service.make(request(renamed))) is first
    with pytest.raises(TypeError):
        asyncio.run(service.make(request(small(shift=1))))


@pytest.mark.slow
def test_fifty_at_once_are_all_answered_and_the_loop_stays_free(service):
    async def all_of_them():
        late = []

        async def beat():
            while True:
                started = time.perf_counter()
                await asyncio.sleep(0.005)
                late.append(time.perf_counter() - started - 0.005)

        beating = asyncio.create_task(beat())
        wanted = [service.make(request(small(5 + k % 5, shift=k), key=f"tab-{k}")) for k in range(50)]
        answers = await asyncio.gather(*wanted)
        beating.cancel()
        return answers, late

    answers, late = asyncio.run(all_of_them())
    assert len({each.video for each in answers}) == 50
    # The largest wait depends on what else the machine does; nearly all must be short.
    assert np.percentile(late, 90) < 0.05


def test_too_many_are_turned_away_at_once():
    crowded = PreviewService(lambda project: EXAMPLES / "rocket.jpg", threads=1, max_waiting=2)

    async def ask():
        wanted = [crowded.make(request(small(9, shift=k), key=str(k))) for k in range(4)]
        return await asyncio.gather(*wanted, return_exceptions=True)

    answers = asyncio.run(ask())
    crowded.close()
    assert [type(each) for each in answers] == [Preview, Preview, Overloaded, Overloaded]
    assert (answers[3].code, answers[3].headers) == ("busy", {"Retry-After": "1"})


def test_what_decides_a_picture_decides_its_digest():
    plain = essence(parse_motion(small()))
    hidden = small()
    hidden["instructions"][0]["hidden"] = True
    assert essence(parse_motion(hidden)) != plain
    assert essence(parse_motion(small(shift=1e-3))) != plain


def test_a_missing_picture_is_told_as_such():
    def none(project):
        raise Refused("not_found", f"there is no project {project}")

    empty = PreviewService(none)
    with pytest.raises(Refused, match="no project"):
        asyncio.run(empty.make(request()))
    empty.close()
    assert issubclass(Superseded, Refused)


def test_thousands_of_points_do_not_make_it_slow(service):
    dense = {**small(), "instructions": [{"kind": "camera", "zoom": 1.2, "spacing": 4}]}
    motion = parse_motion(dense)
    assert motion.compile().num_tracks > 10_000
    image = previews.reduced_picture(EXAMPLES / "rocket.jpg", 128)
    few = parse_motion({**dense, "instructions": [{"kind": "camera", "zoom": 1.2, "spacing": 24}]})
    many, sparse = previews.render(image, motion, 9), previews.render(image, few, 9)
    apart = np.abs(decoded(many.video)[0].astype(int) - decoded(sparse.video)[0])
    assert apart.mean() < 2
