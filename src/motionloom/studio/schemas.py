"""What goes over the wire: requests and answers of the HTTP API, version 1.

The browser's types (``client/src/api/types.ts``) are made from this file by ``python -m motionloom.studio.typescript``.
Sizes on the wire are named (``width``, ``height``), in pixels; times are ISO 8601 in UTC; ids are 16 hex digits made by
the server.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from motionloom.models.card import Solver

ID_PATTERN = r"^[0-9a-f]{16}$"
Id = Annotated[str, Field(pattern=ID_PATTERN)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=10_000)]
Side = Annotated[int, Field(ge=1, le=16_384)]
Seed = Annotated[int, Field(ge=0, lt=2**53)]
MotionDocument = Annotated[
    dict[str, Any], Field(description="a motion document; its schema is published as motion.schema.json")
]


class Request(BaseModel):
    """Comes from outside: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Answer(BaseModel):
    """Goes out; every field is there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Size(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: Side
    height: Side


# ------------------------------------------------------------------------------------------------------------ errors
Code = Literal[
    "bad_request",
    "not_found",
    "conflict",
    "superseded",
    "too_large",
    "unsupported",
    "ambiguous",
    "unauthorised",
    "forbidden",
    "busy",
    "disk_full",
    "failed",
]


class Problem(Answer):
    """What went wrong. ``code`` is for programs and stays the same between versions; ``message`` is for people: what
    was found, what was expected, what to do."""

    code: Code
    message: str
    details: dict[str, Any] = Field(default_factory=dict)


class ErrorAnswer(Answer):
    error: Problem


# ----------------------------------------------------------------------------------------------------------- projects
class LoraChoice(Request):
    """A LoRA by its name from `GET /loras`."""

    name: Name
    strength: Annotated[float, Field(ge=-10, le=10)] = 1.0
    few_step: bool = False


class GenerationSettings(Request):
    """How a video is to be made; None leaves the choice to the model. Names are those of `Model.generate`."""

    model: Name = "nano"
    prompt: Text | None = None
    negative_prompt: Text | None = None
    seed: Seed = 0
    count: Annotated[int, Field(ge=1, le=64, description="videos, with seeds that follow each other")] = 1
    size: Size | None = None
    resolution: Literal["480p", "720p", "1080p"] | None = None
    num_frames: Annotated[int, Field(ge=1, le=2_000)] | None = None
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=1_000)] | None = None
    guidance_scale: Annotated[float, Field(ge=-100, le=100)] | None = None
    guidance_scale_2: Annotated[float, Field(ge=-100, le=100)] | None = None
    shift: Annotated[float, Field(gt=0, le=100)] | None = None
    solver: Solver | None = None
    strength: Annotated[float, Field(ge=0, le=10)] = 1.0
    window: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = (0.0, 1.0)
    densify: bool | None = None
    method: Annotated[str, Field(max_length=64)] | None = None
    loras: Annotated[list[LoraChoice], Field(max_length=16)] = Field(default_factory=list[LoraChoice])
    memory: Literal["auto", "max-speed", "balanced", "low", "minimal"] = "auto"
    fast: bool = False
    options: Annotated[dict[str, Any], Field(max_length=64)] = Field(default_factory=dict[str, Any])
    post: Annotated[str, Field(max_length=200)] | None = None


class ProjectSummary(Answer):
    id: Id
    name: str
    version: int
    created: str
    updated: str
    width: int
    height: int
    num_instructions: int
    num_results: int = 0
    damaged: bool = Field(False, description="part of it could not be read: this is the newest version that could")


class Project(ProjectSummary):
    """A picture, the motion drawn on it, and how its videos are made. ``version`` grows with every write."""

    motion: MotionDocument
    settings: GenerationSettings


class ProjectWrite(Request):
    """The new state of a project. ``base_version`` is the version it was made from: another one on the disk is answered
    with ``conflict`` and its number, unless ``overwrite``, which still keeps what it replaces as an older version."""

    base_version: Annotated[int, Field(ge=0)]
    name: Name | None = None
    motion: MotionDocument
    settings: GenerationSettings
    overwrite: bool = False
    tab: Annotated[str, Field(max_length=64)] | None = Field(None, description="who writes, for the event stream")


class ProjectVersion(Answer):
    version: int
    written: str
    name: str
    num_instructions: int


class Example(Answer):
    """A photograph with a motion in the package. ``name`` starts a project: ``POST /examples/{name}``."""

    name: str
    title: str
    description: str
    width: int
    height: int


# ------------------------------------------------------------------------------------------------- motions as files
class TrackFormat(Answer):
    name: str
    title: str
    suffixes: list[str]
    units: str
    frames: str
    readable: bool
    writable: bool
    options: dict[str, str] = Field(default_factory=dict, description="options of the writer: name -> what it means")


class ImportedMotion(Answer):
    """What was in the files, as instructions on the canvas that was asked for."""

    format: str
    title: str
    motion: MotionDocument
    num_tracks: int
    notes: list[str]


# ------------------------------------------------------------------------------------------------- instant previews
class PreviewRequest(Request):
    """The warp clip of a motion, reduced. A newer request with the same ``key`` takes the place of an older one, which
    is answered with ``superseded``. Requests can overtake each other on their way: which is newer their ``number``
    says, or without one the order in which they arrive."""

    project: Id
    motion: MotionDocument
    key: Annotated[str, Field(min_length=1, max_length=64)]
    number: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(None, description="counts up with a key's requests")
    max_side: Annotated[int, Field(ge=64, le=1_024)] = 448
    max_frames: Annotated[int, Field(ge=1, le=241)] = 81


class ReceivedRequest(Request):
    """What would reach the model."""

    project: Id
    motion: MotionDocument
    settings: GenerationSettings


class TrackFlag(Answer):
    """Something about one instruction's tracks that the model will not do well with."""

    kind: Literal[
        "leaves_frame",
        "starts_outside",
        "hidden_at_start",
        "too_fast",
        "too_slow",
        "too_many",
        "too_few",
        "same_cell",
        "sparse",
        "too_short",
    ]
    instruction: str | None
    message: str
    frame: float | None = None
    num_tracks: int = 0


class LatentGrid(Answer):
    """Cells of the model's latent video hit by tracks. ``cells`` holds, per latent frame, the flat indices
    (row * columns + column) of cells that tracks are written into; ``sources`` those in latent frame 0 they come from.
    """

    frames: int
    rows: int
    columns: int
    pixels_per_cell: int
    frames_per_cell: int
    cells: list[list[int]]
    sources: list[int]


class InstructionSpeed(Answer):
    """Speeds of an instruction's points in canvas pixels per frame of the motion; ``share`` is the largest in shares of
    the picture's width per frame of the clip."""

    instruction: str
    median: float
    largest: float
    largest_frame: float
    share: float


class Received(Answer):
    """What a model receives of a motion."""

    model: str
    method: str
    width: int
    height: int
    num_frames: int
    fps: float
    num_tracks: int
    grid: LatentGrid | None
    speeds: list[InstructionSpeed]
    flags: list[TrackFlag]
    notes: list[str]


# ------------------------------------------------------------------------------------------------------------ models
class MotionLimits(Answer):
    """Where the authors of a model say that it fails. ``max_step``: share of the picture's width per frame."""

    max_step: float | None = None
    max_tracks: int | None = None
    min_tracks: int | None = None
    source: str = ""


class ModelFacts(Answer):
    name: str
    title: str
    description: str
    licence: str
    commercial_use: bool | None
    methods: list[str]
    width: int | None
    height: int | None
    num_frames: int | None
    fps: float | None
    num_inference_steps: int | None
    guidance_scale: float | None
    reads_text: bool
    takes_image: bool = Field(description="False: text to video; of the photograph it uses the shape, as a canvas")
    takes_last_image: bool
    solvers: list[Solver] = Field(description="those one may choose; none: it has its own, or nothing to solve")
    installed: bool
    size_on_disk: int
    memory: int | None
    limits: MotionLimits
    notes: list[str]


class Lora(Answer):
    name: str
    size: int
    few_step: bool = False


# -------------------------------------------------------------------------------------------------------------- jobs
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Phase = Literal["waiting", "loading", "sampling", "saving", "measuring"]


class JobRequest(Request):
    """Videos to make of a project as it is now; ``motion`` and ``settings`` take the place of the stored ones. The
    picture and the motion are kept with each job: later edits of the project do not touch it. One job per seed."""

    project: Id
    motion: MotionDocument | None = None
    settings: GenerationSettings | None = None
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=64)] | None = Field(
        None, description="instead of the settings' seed and count"
    )


class Job(Answer):
    """A video to be made. ``step`` of ``total`` while it runs; ``seconds_left`` None as long as nobody knows."""

    id: Id
    project: Id | None
    project_name: str
    state: JobState
    position: float = Field(description="queued jobs run in this order")
    phase: Phase
    model: str
    seed: int
    settings: GenerationSettings
    width: int = Field(description="of the picture")
    height: int
    created: str
    started: str | None
    finished: str | None
    attempts: int
    step: int
    total: int
    seconds_left: float | None
    preview: int = Field(0, description="number of the newest preview frame, 0 for none: GET /jobs/{id}/preview?n=")
    cancel_requested: bool
    worker: str | None
    error: str | None
    notes: list[str] = Field(default_factory=list)
    result: Id | None = None


class JobMove(Request):
    """Before which queued job; None: to the end."""

    before: Id | None = None


class Result(Answer):
    """A finished video. ``measures``: numbers by name (``epe``, ``epe_trackable``: mean distance in pixels of the clip
    between where points were asked to be and where they are found), None with a reason in ``reasons``."""

    id: Id
    job: Id
    project: Id | None
    project_name: str
    created: str
    model: str
    method: str
    seed: int
    settings: GenerationSettings
    width: int
    height: int
    num_frames: int
    fps: float
    seconds: float
    bytes: int
    measured: bool
    measures: dict[str, float | None] = Field(default_factory=dict)
    reasons: dict[str, str] = Field(default_factory=dict)


class JobList(Answer):
    jobs: list[Job]


class ResultList(Answer):
    results: list[Result]


# -------------------------------------------------------------------------------------------------------------- trash
class TrashedThing(Answer):
    """A deleted project or result. ``name`` is its id where it is damaged; ``deleted``: when."""

    id: str
    name: str
    deleted: str
    bytes: int
    restorable: bool = Field(description="whether it can be taken back: it can be read, and its id is free")


class Trash(Answer):
    """What was deleted and can be taken back until the trash is emptied. ``bytes``: of all together."""

    projects: list[TrashedThing]
    results: list[TrashedThing]
    bytes: int


# ------------------------------------------------------------------------------------------------------------ server
class Worker(Answer):
    name: str
    device: str
    alive: bool
    job: Id | None


class ServerFacts(Answer):
    """The server. ``previews``: whether it makes instant previews; ``limits`` for uploads."""

    version: str
    api: Literal["v1"] = "v1"
    workers: list[Worker]
    max_upload_bytes: int
    max_pixels: int
    free_bytes: int
    default_model: str


class SessionRequest(Request):
    token: Annotated[str, Field(min_length=1, max_length=512)]


class Event(Answer):
    """One line of the event stream ``GET /events``: server-sent events whose ``event`` is ``kind``, whose ``id`` counts
    up for the life of the data folder, and whose data is this object. "reset": too much happened since the listener
    heard last, it has to ask for the lists anew."""

    id: int
    kind: Literal["job", "job_removed", "result", "result_removed", "project", "project_removed", "workers", "reset"]
    job: Job | None = None
    result: Result | None = None
    project: ProjectSummary | None = None
    workers: list[Worker] | None = None
    removed: Id | None = None
    tab: str | None = None
