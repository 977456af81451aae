"""The cards of the published models: licence, native sizes, and the defaults of the published program of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from motionloom.models import catalog_files as files
from motionloom.models.card import HubFile, ModelCard, MotionLimits, Sampling

WAN_NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，"
    "杂乱的背景，三条腿，背景人很多，倒着走"
)
"""``wan/configs/shared_config.py`` of the Wan programs, verbatim; the models read Chinese as well as English."""

WAN21_I2V_NEGATIVE_PROMPT = "镜头晃动，" + WAN_NEGATIVE_PROMPT
"""With "camera shake" in front: ``wan_i2v_14B.py``, taken over by ATI and Wan-Move."""

_480P, _720P = (480, 832), (720, 1280)
_AREA_480P, _AREA_720P = 480 * 832, 720 * 1280

_REPACKAGED = (
    "The transformer is a third party's float8 copy of the authors' weights; the licence given is that of the original."
)
_NOT_SEEN = (
    "How many shards the transformer has, and whether they are float32 (65.6 GB) or bfloat16 (32.8 GB), is not "
    "established here: all shards the hub lists are fetched, and the exact size is known before the first byte."
)
_FAST_MOTION = "Its authors say that very fast motion (half the picture's width within two frames) fails."

ATI_LIMITS = MotionLimits(
    # Half the width within two frames, at the 16 frames per second of the model.
    max_step=0.25,
    max_tracks=20,
    source="The authors of ATI: motion of half the picture's width within two frames fails; trained on 1 to 20 tracks.",
)
WAN_MOVE_LIMITS = MotionLimits(
    min_tracks=2,
    source="Wan-Move was trained on 1 to 200 tracks and follows more; users report that a single point does little.",
)

TORA_LIMITS = MotionLimits(
    max_tracks=16,
    source="Tora was trained on 1 to 16 trajectories; it sees no speed, only speed beside the clip's fastest motion.",
)

_COGVIDEOX_LICENCE = "CogVideoX License"
_TORA_LICENCE_NOTE = (
    "Research use is free; commercial use needs a registration with the authors of CogVideoX. The model card's MIT tag "
    "contradicts that licence; the code alone is Apache-2.0."
)
_TORA_NOT_SEEN = (
    "Sizes of files and memory follow from the architecture in bfloat16; whether the published files are bfloat16 is "
    "not established."
)


def published() -> list[ModelCard]:
    """The published models, those made for trajectories first."""
    return [_with_size(card) for card in (*_ati(), *_wan_move(), *_tora(), *_wan21(), *_wan22(), _cogvideox())]


def _ati() -> tuple[ModelCard, ModelCard]:
    original = _wan21_card(
        name="ati-14b",
        title="ATI on Wan2.1-I2V-14B",
        description=(
            "Any Trajectory Instruction: Wan2.1 image-to-video, fine-tuned to follow up to about 20 drawn tracks; "
            "objects and camera alike."
        ),
        methods=("ati", "wan_move", "time_to_move"),
        aliases=("ati",),
        # generate.py of ATI: shift 5 also at 480p.
        sampling=Sampling(shift=5.0, area=_AREA_480P, negative_prompt=WAN21_I2V_NEGATIVE_PROMPT),
        homepage="github.com/bytedance/ATI",
        notes=(_FAST_MOTION, _NOT_SEEN),
        limits=ATI_LIMITS,
        build=files.ati,
    )
    small = replace(
        original,
        name="ati-14b-fp8",
        title="ATI on Wan2.1-I2V-14B, float8",
        description="As ati-14b, its transformer as one float8 file: a quarter of the download.",
        aliases=("ati-fp8",),
        notes=(_FAST_MOTION, _REPACKAGED),
        files=files.ati_fp8(),
        float8=True,
    )
    return original, small


def _wan_move() -> tuple[ModelCard, ModelCard]:
    original = _wan21_card(
        name="wan-move-14b",
        title="Wan-Move on Wan2.1-I2V-14B",
        description=(
            "Wan-Move: Wan2.1 image-to-video, fine-tuned to follow one to hundreds of point tracks, with fine control "
            "of parts."
        ),
        methods=("wan_move", "ati", "time_to_move"),
        aliases=("wan-move", "wanmove", "wan_move"),
        sampling=Sampling(
            shift=3.0,
            area=_AREA_480P,
            known_shifts=((_AREA_720P, 5.0),),
            negative_prompt=WAN21_I2V_NEGATIVE_PROMPT,
        ),
        homepage="github.com/ali-vilab/Wan-Move",
        notes=(_NOT_SEEN,),
        limits=WAN_MOVE_LIMITS,
        build=files.wan_move,
    )
    small = replace(
        original,
        name="wan-move-14b-fp8",
        title="Wan-Move on Wan2.1-I2V-14B, scaled float8",
        description="As wan-move-14b, its transformer as one file of float8 weights with scales.",
        aliases=("wan-move-fp8",),
        notes=(_REPACKAGED,),
        files=files.wan_move_fp8(),
        float8=True,
    )
    return original, small


def _wan21() -> tuple[ModelCard, ModelCard]:
    untrained = "Not trained on tracks: they guide it through its image condition, more weakly than ATI or Wan-Move."
    small = _wan21_card(
        name="wan2.1-i2v-14b-480p",
        title="Wan2.1-I2V-14B, 480p",
        description="The stock image-to-video model: base of ATI and Wan-Move.",
        methods=("wan_move", "ati", "time_to_move"),
        aliases=("wan2.1-i2v", "wan2.1", "wan2.1-i2v-480p"),
        sampling=Sampling(
            shift=3.0,
            area=_AREA_480P,
            known_shifts=((_AREA_720P, 5.0),),
            negative_prompt=WAN21_I2V_NEGATIVE_PROMPT,
        ),
        homepage="github.com/Wan-Video/Wan2.1",
        notes=(untrained,),
        build=files.wan21_i2v_480p,
    )
    large = replace(
        small,
        name="wan2.1-i2v-14b-720p",
        title="Wan2.1-I2V-14B, 720p",
        description="The stock image-to-video model at 720p.",
        aliases=("wan2.1-i2v-720p",),
        native_size=_720P,
        sizes=(_480P,),
        sampling=Sampling(
            shift=5.0,
            area=_AREA_720P,
            known_shifts=((_AREA_480P, 3.0),),
            negative_prompt=WAN21_I2V_NEGATIVE_PROMPT,
        ),
        files=files.wan21_i2v_720p(),
        notes=(untrained, "Sizes of its files follow from the architecture; its checksums are the hub's alone."),
    )
    return small, large


def _wan22() -> tuple[ModelCard, ModelCard, ModelCard]:
    base = ModelCard(
        name="wan2.2-i2v-a14b",
        title="Wan2.2-I2V-A14B",
        description="Two 14B experts, one for high and one for low noise; the better base model, twice the disk.",
        licence="Apache-2.0",
        commercial_use=True,
        methods=("wan_move", "ati", "time_to_move"),
        aliases=("wan2.2-i2v", "wan2.2", "a14b"),
        native_size=_720P,
        sizes=(_480P,),
        num_frames=81,
        fps=16.0,
        default_steps=40,
        sampling=Sampling(
            guidance_scale=3.5,
            guidance_scale_2=3.5,
            shift=5.0,
            area=_AREA_720P,
            known_shifts=((_AREA_480P, 5.0),),
            negative_prompt=WAN_NEGATIVE_PROMPT,
        ),
        architecture="wan2.2-i2v-a14b",
        reads_text=True,
        takes_last_image=True,
        files=files.wan22_i2v(),
        homepage="github.com/Wan-Video/Wan2.2",
        notes=("Not trained on tracks: they guide it through its image condition, more weakly than ATI or Wan-Move.",),
    )
    orbit = replace(
        base,
        name="circle-rotate",
        title="Circle-Rotate on Wan2.2-I2V-A14B",
        description="The camera orbits a static subject, from a first (and last) photograph; four steps.",
        licence="Apache-2.0; LoRAs: none stated",
        commercial_use=None,
        methods=("circle_rotate",),
        aliases=("circle_rotate", "circlerotate"),
        default_steps=4,
        sampling=Sampling(
            num_inference_steps=4,
            guidance_scale=1.6,
            guidance_scale_2=1.6,
            solver="euler",
            shift=8.0,
            area=_AREA_720P,
            known_shifts=((_AREA_480P, 8.0),),
            steps_are_fixed=True,
        ),
        files=files.circle_rotate(),
        homepage="github.com/Jklaity/Circle-Rotate",
        notes=(
            "Takes no tracks: prompt, first and last photograph and the LoRAs say what happens. Trained on cars.",
            "The authors ran it on another base (Wan2.2-Fun-A14B-InP); the LoRAs were trained on this one. The sizes "
            "of their two files are computed.",
            "The authors do not name their four-step LoRA; this is lightx2v's pair of October 2025. Its file for low "
            "noise is the one published for Wan2.1 and also holds weights of an image branch that Wan2.2 lacks.",
        ),
    )
    small = ModelCard(
        name="wan2.2-ti2v-5b",
        title="Wan2.2-TI2V-5B",
        description="A 5B model at 720p and 24 frames per second that runs on a 24 GB GPU.",
        licence="Apache-2.0",
        commercial_use=True,
        methods=("time_to_move", "latent_trajectory"),
        aliases=("wan2.2-5b", "ti2v-5b"),
        native_size=(704, 1280),
        num_frames=121,
        fps=24.0,
        default_steps=50,
        sampling=Sampling(num_inference_steps=50, shift=5.0, area=704 * 1280, negative_prompt=WAN_NEGATIVE_PROMPT),
        architecture="wan2.2-ti2v-5b",
        reads_text=True,
        files=files.wan22_ti2v_5b(),
        homepage="github.com/Wan-Video/Wan2.2",
        notes=("Not trained on tracks; Time-to-Move needs no training, latent trajectories guide it weakly.",),
    )
    return base, orbit, small


def _tora() -> tuple[ModelCard, ...]:
    text = ModelCard(
        name="tora-t2v",
        title="Tora on CogVideoX-5B, text to video",
        description=(
            "Makes its own picture from a prompt and moves it along 1 to 16 drawn trajectories: 49 frames at 720x480. "
            "The authors' own diffusers files."
        ),
        licence=_COGVIDEOX_LICENCE,
        commercial_use=False,
        methods=("tora",),
        native_size=(480, 720),
        num_frames=49,
        fps=8.0,
        default_steps=50,
        sampling=Sampling(num_inference_steps=50, guidance_scale=6.0, solver="own", shift=1.0, area=480 * 720),
        architecture="cogvideox-5b",
        reads_text=True,
        takes_image=False,
        files=files.tora_t2v(),
        homepage="github.com/alibaba/Tora",
        limits=TORA_LIMITS,
        notes=(_TORA_LICENCE_NOTE, _LONG_PROMPTS, _TORA_NOT_SEEN),
    )
    image = replace(
        text,
        name="tora-i2v",
        title="Tora on CogVideoX-5B-I2V",
        description=(
            "Moves a photograph along 1 to 16 drawn trajectories: 49 frames at 720x480. The stock model and the "
            "community's two add-on files."
        ),
        aliases=("tora",),
        architecture="cogvideox-5b-i2v",
        takes_image=True,
        files=files.tora_i2v(),
        notes=(_TORA_LICENCE_NOTE, _LONG_PROMPTS, _ADDON),
    )
    return (
        text,
        image,
        replace(
            text,
            name="tora-t2v-addon",
            title="Tora's add-on on CogVideoX-5B",
            description="As tora-t2v, from the stock model and the community's two add-on files.",
            files=files.tora_t2v_addon(),
            notes=(_TORA_LICENCE_NOTE, _LONG_PROMPTS, _ADDON, _TORA_NOT_SEEN),
        ),
        replace(
            image,
            name="tora-i2v-sat",
            title="Tora on CogVideoX-5B-I2V, the authors' checkpoint",
            description="As tora-i2v, its transformer from the authors' own file for their SAT program.",
            aliases=(),
            files=files.tora_i2v_sat(),
            notes=(
                _TORA_LICENCE_NOTE,
                _LONG_PROMPTS,
                _TORA_NOT_SEEN,
                "The authors' program stores a table of positions and does not add it, the stock pipeline does: the "
                "option position_table chooses; which of the two is right was not tried.",
            ),
        ),
    )


_LONG_PROMPTS = "Wants long, detailed prompts in English: those it was trained on have 125 words on average."
_ADDON = (
    "The add-on is a community conversion of the authors' weights, without a licence of its own; in which folders of "
    "its two repositories the files lie is not established: they are taken from wherever they are."
)


def _cogvideox() -> ModelCard:
    return ModelCard(
        name="cogvideox-5b-i2v",
        title="CogVideoX-5B-I2V",
        description="A 5B image-to-video model of another family: 49 frames at 720x480.",
        licence=_COGVIDEOX_LICENCE,
        commercial_use=False,
        methods=("time_to_move", "latent_trajectory"),
        aliases=("cogvideox-i2v", "cogvideox"),
        native_size=(480, 720),
        num_frames=49,
        fps=8.0,
        default_steps=50,
        sampling=Sampling(num_inference_steps=50, guidance_scale=6.0, solver="own", shift=1.0, area=480 * 720),
        architecture="cogvideox-5b-i2v",
        reads_text=True,
        files=files.cogvideox_i2v(),
        homepage="github.com/zai-org/CogVideo",
        notes=(
            "Research use is free; commercial use needs a registration with the authors.",
            "Made for this one size. Not trained on tracks; Time-to-Move needs no training.",
        ),
    )


def _wan21_card(
    *,
    name: str,
    title: str,
    description: str,
    methods: tuple[str, ...],
    aliases: tuple[str, ...],
    sampling: Sampling,
    homepage: str,
    notes: tuple[str, ...],
    build: Callable[[], tuple[HubFile, ...]],
    limits: MotionLimits | None = None,
) -> ModelCard:
    return ModelCard(
        name=name,
        title=title,
        description=description,
        licence="Apache-2.0",
        commercial_use=True,
        methods=methods,
        aliases=aliases,
        native_size=_480P,
        sizes=(_720P,),
        num_frames=81,
        fps=16.0,
        default_steps=sampling.num_inference_steps,
        sampling=sampling,
        architecture="wan2.1-i2v-14b",
        reads_text=True,
        takes_last_image=True,
        files=build(),
        homepage=homepage,
        limits=limits or MotionLimits(),
        notes=notes,
    )


def _with_size(card: ModelCard) -> ModelCard:
    return replace(card, size_on_disk=sum(file.size for file in card.files))
