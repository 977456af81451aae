import json
from importlib import resources
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.instructions import Camera, Circle, FreePath, Region, Route, Static
from motionloom.tracks.motion import Canvas, Motion, Pan

HEAD = {
    "format": "motionloom.motion",
    "version": 1,
    "canvas": {"width": 320, "height": 160},
    "num_frames": 11,
    "fps": 10.0,
}
ONE_OF_EACH = [
    {"kind": "path", "points": [[10, 20], [50, 60, 4], {"x": 90, "y": 20, "handle_in": [-9, 3]}], "curve": "bezier"},
    {"kind": "circle", "center": [160, 80], "radius": 20, "radius_curve": [[0, 20], [10, 40]], "angles": [0, 90]},
    {
        "kind": "static",
        "points": [[1, 1]],
        "grid": {"spacing": 32, "outside": ["cup", {"polygon": [[0, 0], [9, 0], [9, 9]]}]},
    },
    {"kind": "box", "source": {"x": 1, "y": 2, "width": 30, "height": 40}, "path": {"points": [[0, 0], [5, 5]]}},
    {"kind": "region", "id": "cup", "polygon": [[40, 40], [80, 40], [60, 80]], "rotation": 30, "color": "#ff8800"},
    {"kind": "rotate", "center": [200, 90], "angle": 45, "points": [[210, 90]]},
    {"kind": "camera", "zoom": [[0, 1], {"frame": 10, "value": 1.5, "easing": "ease-in"}], "depth": 3, "focal": 300},
]


def document(*instructions, **fields):
    return {**HEAD, "instructions": list(instructions), **fields}


# ---------------------------------------------------------------------------------------------------------------- files
def test_saving_and_loading(tmp_path):
    motion = Motion.parse(document(*ONE_OF_EACH, prompt="a cup", pan=[{"velocity": [1, 0], "instructions": ["cup"]}]))
    path = motion.save(tmp_path / "sub" / "a.motion.json")
    again = Motion.load(path)
    assert again == motion
    assert again.compile() == motion.compile()
    assert [file.name for file in path.parent.iterdir()] == ["a.motion.json"]
    text = path.read_text()
    assert '"points": [\n        [10.0, 20.0],\n        [50.0, 60.0, 4.0],' in text
    assert "null" not in text


NUMBERS = st.floats(-1e6, 1e6)
EASINGS = st.sampled_from(["linear", "ease-in", "ease-out", "ease-in-out", "hold"]) | st.tuples(
    st.floats(0, 1), NUMBERS, st.floats(0, 1), NUMBERS
)


@st.composite
def any_instruction(draw):
    shared = {
        "name": draw(st.text(max_size=5)),
        "color": draw(st.none() | st.just("#0a1B2c")),
        "hidden": draw(st.booleans()),
        "easing": draw(EASINGS),
        "before": draw(st.sampled_from(["hold", "vanish"])),
        "after": draw(st.sampled_from(["hold", "vanish"])),
    }
    points = draw(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4))
    frames = sorted(draw(st.sets(st.floats(0, 100), min_size=1, max_size=3)))
    keys = tuple({"frame": frame, "value": draw(st.floats(0.5, 3)), "easing": draw(EASINGS)} for frame in frames)
    return draw(
        st.sampled_from(
            [
                FreePath(points=points, curve="catmull-rom", **shared),
                FreePath(points=[(*point, frame) for point, frame in zip(points, frames, strict=False)], **shared),
                Circle(center=points[0], radius=3.5, radius_curve=keys, **shared),
                Static(points=points, **shared),
                Region(polygon=[(1, 1), (9, 1), points[0]], scale=keys, path=Route(points=points), **shared),
                Camera(zoom=keys, roll=draw(NUMBERS), **{**shared, "hidden": True}),
            ]
        )
    )


@settings(max_examples=40)
@given(st.lists(any_instruction(), max_size=4), st.integers(1, 200), st.floats(0.5, 120))
def test_what_is_written_is_read_back_exactly_and_fits_the_schema(instructions, frames, fps):
    motion = Motion(canvas=Canvas(width=320, height=160), num_frames=frames, fps=fps, instructions=instructions)
    data = json.loads(motion.dumps())
    assert Motion.parse(data) == motion
    assert Motion.parse(motion.model_dump(mode="json")) == motion
    jsonschema.Draft202012Validator(Motion.json_schema()).validate(data)


def test_places_where_nothing_can_be_written(tmp_path):
    motion = Motion.parse(document())
    with pytest.raises(InputError, match="is a folder"):
        motion.save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileFormatError, match=r"a\.motion\.json: cannot be written"):
        motion.save(tmp_path / "file" / "a.motion.json")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_text_that_looks_like_a_list_is_left_alone():
    prompt = "[\n  1,\n  2\n]"
    motion = Motion.parse(document(prompt=prompt))
    assert json.loads(motion.dumps())["prompt"] == prompt


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[1, 2]", "format: found a list"),
        (b'{"version": 1}', 'format: found null, expected "motionloom.motion"'),
        (b'{"format": "motionloom.motion"}', "version: found null"),
        (b'{"format": "motionloom.motion", "version": true}', "version: found true"),
        (b'{"format": "motionloom.motion", "version": -1}', "version: found -1"),
        (b'{"format": "motionloom.motion", "version": NaN}', "found NaN"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b"[" + b"[]," * 1_000_001 + b"1]", "found 1000002 JSON lists"),
        (b"[" + b"1," * 5_000_001 + b"1]", "and 5000001 commas, expected at most"),
    ],
)
def test_files_that_are_no_motion(tmp_path, content, words):
    path = tmp_path / "bad.motion.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        Motion.load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileFormatError, match=r"none\.motion\.json: cannot be read"):
        Motion.load(tmp_path / "none.motion.json")


# --------------------------------------------------------------------------------------------------------------- schema
def test_the_published_schema_is_up_to_date():
    published = resources.files("motionloom.tracks").joinpath("motion.schema.json").read_text()
    # To refresh it, write json.dumps(Motion.json_schema(), indent=2) there.
    assert json.loads(published) == Motion.json_schema()


def test_the_schema_takes_short_forms_and_refuses_what_we_refuse():
    validator = jsonschema.Draft202012Validator(Motion.json_schema())
    jsonschema.Draft202012Validator.check_schema(Motion.json_schema())
    validator.validate(document(*ONE_OF_EACH))
    wrong = [
        document({"kind": "path", "points": [[1, "a"]]}),
        document({"kind": "path", "points": [[1, 2]], "speed": 3}),
        document({"kind": "sweep"}),
        document({"points": [[1, 2]]}),
        document({"kind": "camera", "fov": 180}),
        {**document(), "version": 2},
        {key: value for key, value in document().items() if key != "format"},
    ]
    for each in wrong:
        assert not validator.is_valid(each), each
        with pytest.raises(FileFormatError):
            Motion.parse(each)


# --------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        (
            {"kind": "path", "points": [[1, 2], [1, "a"]]},
            'instructions[0].points[1].y: found "a", expected a valid number',
        ),
        ({"kind": "path", "points": [[1, True]]}, "instructions[0].points[0].y: found true"),
        ({"kind": "path", "points": [{"x": 1}]}, "instructions[0].points[0].y: missing"),
        ({"kind": "path", "points": []}, "instructions[0].points: found 0 items, expected at least 1"),
        ({"kind": "path"}, "instructions[0].points: missing"),
        ({"kind": "path", "points": [[1, 2]], "speed": 3}, "instructions[0].speed: unknown field"),
        ({"kind": "path", "points": [[1, 2, 3, 4]]}, "instructions[0].points[0]: found [1, 2, 3, 4]"),
        ({"kind": "path", "points": [[1, 2]], "start": 5, "end": 4}, "instructions[0]: found end 4 before start 5"),
        ({"kind": "path", "points": [[1, 2, 9], [3, 4, 5]]}, "instruction 'path-1': end: found 5 before start 9"),
        (
            {"kind": "path", "points": [[1, 2, 0], [3, 4, 7], [3, 4, 7], [1, 1]]},
            "points[2]: found frame 7 after frame 7",
        ),
        ({"kind": "path", "points": [[1, 2]], "easing": "bouncy"}, 'instructions[0].easing: found "bouncy"'),
        ({"kind": "path", "points": [[1, 2]], "easing": [0, 0, 2, 1]}, "instructions[0].easing[2]: found 2"),
        ({"kind": "path", "points": [[1, 2]], "color": "red"}, 'instructions[0].color: found "red"'),
        ({"kind": "path", "points": [[1, 2]], "id": "a b"}, 'instructions[0].id: found "a b"'),
        ({"kind": "path", "points": [[1, 2e9]]}, "instructions[0].points[0].y: found 2000000000.0"),
        ({"kind": "sweep"}, "instructions[0]: found kind 'sweep', expected one of 'path', 'circle'"),
        ({"points": []}, "instructions[0]: found no kind"),
        (7, "instructions[0]: found 7"),
        ({"kind": "circle", "center": [1, 2], "radius": 3, "radius_curve": -1}, "radius_curve: found radius -1"),
        ({"kind": "circle", "center": [1, 2], "radius": 0, "radius_curve": 1}, "instructions[0].radius: found 0"),
        ({"kind": "camera", "depth": 5e-324}, "instructions[0].depth: found 5e-324, expected greater than or equal"),
        ({"kind": "static"}, "found neither points nor grid"),
        ({"kind": "region"}, "found both polygon and mask or neither"),
        ({"kind": "rotate", "center": [1, 2], "angle": 3}, "found both points and region or neither"),
        ({"kind": "camera", "focal": 1, "fov": 2}, "found both focal and fov"),
        ({"kind": "camera", "zoom": 0}, "zoom: found 0, expected a factor above zero"),
        ({"kind": "camera", "pan": [[0, 1], [0, 2]]}, "'camera-1': pan: keyframes: found frame 0 after 0"),
        ({"kind": "camera", "pan": [[0, "q"]]}, 'instructions[0].pan[0].value: found "q"'),
        ({"kind": "camera", "depth": {"file": "d.png", "near": 3, "far": 2}}, "expected far above near"),
        ({"kind": "camera", "depth": {"file": "d.png", "fat": 2}}, "instructions[0].depth.fat: unknown field"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(instruction, words):
    with pytest.raises(FileFormatError) as caught:
        Motion.parse(document(instruction), source="cat.motion.json")
    message = str(caught.value)
    assert message.startswith("cat.motion.json: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"canvas": {"width": 0, "height": 3}}, "canvas.width: found 0"),
        ({"canvas": {"width": 60_000, "height": 60_000}}, "canvas: found 60000x60000"),
        ({"num_frames": 0}, "num_frames: found 0"),
        ({"num_frames": 2.5}, "num_frames: found 2.5"),
        ({"fps": -1}, "fps: found -1"),
        ({"sound": 1}, "sound: unknown field"),
        ({"pan": [{"velocity": [1]}]}, "pan[0].velocity"),
        ({"pan": [{"velocity": [1, 2], "instructions": ["x"]}]}, "pan[0]: no instruction has the id 'x'"),
        (
            {"instructions": [{"kind": "camera"}, {"kind": "camera"}]},
            "found 2 cameras (camera-1, camera-2), expected one",
        ),
        (
            {"instructions": [{"kind": "static", "id": "a", "points": [[1, 1]]}] * 2},
            "found the id 'a' more than once",
        ),
    ],
)
def test_a_wrong_document_is_refused(fields, words):
    with pytest.raises(FileFormatError) as caught:
        Motion.parse({**document(), **fields})
    assert words in str(caught.value)


def test_wrong_values_in_code_raise_our_error():
    with pytest.raises(InputError, match=r"Motion: num_frames: found 0"):
        Motion(canvas=Canvas(width=3, height=3), num_frames=0, fps=1)
    with pytest.raises(InputError, match=r"FreePath: points\[0\]\.y: found null"):
        FreePath(points=[(1, None)])  # type: ignore[arg-type]


def test_motions_do_not_change():
    motion = Motion.parse(document(*ONE_OF_EACH))
    with pytest.raises(ValueError, match="frozen"):
        motion.fps = 3  # type: ignore[misc]


def test_two_cameras_are_fine_when_one_is_hidden():
    assert len(Motion.parse(document({"kind": "camera"}, {"kind": "camera", "hidden": True})).instructions) == 2


def test_made_up_ids_avoid_given_ones():
    static = {"kind": "static", "points": [[1, 1]]}
    motion = Motion.parse(document(static, {**static, "id": "static-1"}, static))
    assert [each.id for each in motion.instructions] == ["static-2", "static-1", "static-3"]


# ---------------------------------------------------------------------------------------------------- files of a motion
@pytest.fixture
def with_mask(tmp_path):
    mask = np.zeros((16, 32), np.uint8)
    mask[4:8, 4:8] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    motion = Motion.parse(document({"kind": "region", "mask": "mask.png"}), folder=tmp_path)
    motion.save(tmp_path / "a.motion.json")
    return tmp_path


def test_masks_are_found_beside_the_motion_file(with_mask):
    assert Motion.load(with_mask / "a.motion.json").compile().num_tracks == 4


def test_a_motion_can_carry_its_files(with_mask, tmp_path_factory):
    motion = Motion.load(with_mask / "a.motion.json")
    alone = tmp_path_factory.mktemp("elsewhere") / "b.motion.json"
    with pytest.raises(InputError, match=r"'mask\.png' is not in this folder"):
        motion.save(alone)
    motion.embedded().save(alone)
    assert Motion.load(alone).compile() == motion.compile()
    assert Motion.load(alone).embedded() == motion.embedded()


def test_masks_may_not_fill_the_memory(with_mask, monkeypatch):
    monkeypatch.setattr("motionloom.tracks.scene.MAX_MASK_PIXELS", 600)
    region = {"kind": "region", "mask": "mask.png"}
    assert Motion.parse(document(region, region), folder=with_mask).compile().num_tracks == 8
    Image.open(with_mask / "mask.png").save(with_mask / "other.png")
    with pytest.raises(InputError, match="'region-2': masks: found more than 600 pixels"):
        Motion.parse(document(region, {**region, "mask": "other.png"}), folder=with_mask).compile()


def test_masks_outside_the_folder_are_refused(with_mask):
    sub = with_mask / "sub"
    sub.mkdir()
    for name in ("../mask.png", str(with_mask / "mask.png")):
        (sub / "a.motion.json").write_text(json.dumps(document({"kind": "region", "mask": name})))
        with pytest.raises(InputError, match="instruction 'region-1'"):
            Motion.load(sub / "a.motion.json").compile()
    assert Motion.load(sub / "a.motion.json", allow_absolute=True).compile().num_tracks == 4


def test_pan_in_code():
    motion = Motion(
        canvas=Canvas(width=320, height=160),
        num_frames=5,
        fps=8,
        instructions=[Static(points=[(1, 2)])],
        pan=[Pan(velocity=(2, 1))],
    )
    np.testing.assert_allclose(motion.compile().points[4], [[9, 6]])


# ----------------------------------------------------------------------------------------------------------------- docs
DOCS = Path(__file__).parents[2] / "docs" / "motion.md"
EXAMPLES = [json.loads(block.split("```")[0]) for block in DOCS.read_text("utf-8").split("```json\n")[1:]]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.get("kind", "document"))
def test_every_example_of_the_documentation_works(example, tmp_path):
    values = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (40, 1))
    Image.fromarray(values).save(tmp_path / "cup.png")
    Image.fromarray(values).save(tmp_path / "depth.png")
    if "format" not in example:
        head = {"canvas": {"width": 640, "height": 400}, "num_frames": 49, "fps": 16.0}
        example = {**HEAD, **head, "instructions": [example]}
    motion = Motion.parse(example, folder=tmp_path)
    tracks = motion.compile(size=(200, 320), num_frames=17)
    assert tracks.num_tracks > 0
    assert tracks.visible[0].all()
    moving = any(each.kind != "static" for each in motion.instructions)
    assert (np.abs(tracks.points[-1] - tracks.points[0]).max() > 1) == moving


def test_the_documentation_shows_every_kind():
    schema = Motion.json_schema()
    kinds = {
        part["properties"]["kind"]["const"] for part in schema["$defs"].values() if "kind" in part.get("properties", {})
    }
    assert kinds == {example["kind"] for example in EXAMPLES if "kind" in example}
