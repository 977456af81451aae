"""Which files each published model consists of: repository, path, bytes and checksum.

Sizes and checksums are those the hub lists. Where a repository could not be seen, sizes follow from the architecture
and are marked ``about``; where not even the number of shards is established, a pattern stands for them. The hub's own
sizes and checksums are compared at every download in any case (`models.fetch`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from motionloom.models.card import HubFile, Part

WAN21_I2V_480P = "Wan-AI/Wan2.1-I2V-14B-480P"
WAN21_I2V_720P = "Wan-AI/Wan2.1-I2V-14B-720P"
WAN22_I2V = "Wan-AI/Wan2.2-I2V-A14B"
WAN22_TI2V_5B = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
COGVIDEOX_I2V = "zai-org/CogVideoX-5b-I2V"
COGVIDEOX_T2V = "zai-org/CogVideoX-5b"
TORA_T2V = "Alibaba-Research-Intelligence-Computing/Tora_T2V_diffusers"
TORA_SAT = "Alibaba-Research-Intelligence-Computing/Tora"
TORA_ADDON = "kijai/CogVideoX-5b-Tora"
TORA_ADDON_I2V = "kijai/CogVideoX-5b-Tora-I2V"
ATI = "bytedance-research/ATI"
WAN_MOVE = "Ruihang/Wan-Move-14B-480P"
KIJAI = "Kijai/WanVideo_comfy"
KIJAI_SCALED = "Kijai/WanVideo_comfy_fp8_scaled"
CIRCLE_ROTATE = "jk1741391802/circle-rotate-lora"
LIGHTX2V = "lightx2v/Wan2.2-Distill-Loras"

WAN21_I2V_BYTES = 16_394_878_784 * 4
"""The tensors of a Wan2.1-I2V-14B transformer in float32."""

COGVIDEOX_BYTES = 5_570_283_072 * 2
"""The tensors of a CogVideoX-5b transformer in bfloat16."""

TORA_FUSER_BYTES, TORA_EXTRACTOR_BYTES = 669_441_024 * 2, (24_910_976 + 43_008) * 2
"""What Tora adds to it, in bfloat16: 42 fusers; the trajectory extractor with the statistics of its norms."""

_T5 = "models_t5_umt5-xxl-enc-bf16.pth"
_T5_BYTES, _T5_SHA256 = 11_361_920_418, "7cace0da2b446bbbbc57d031ab6cf163a3d59b366da94e5afe36745b746fd81d"
_CLIP = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
_CLIP_BYTES, _CLIP_SHA256 = 4_772_359_047, "628c9998b613391f193eb67ff68da9667d75f492911e4eb3decf23460a158c38"
_VAE = "Wan2.1_VAE.pth"
_VAE_BYTES, _VAE_SHA256 = 507_609_880, "38071ab59bd94681c686fa51d75a1968f64e470262043be31f7a094e442fd981"


def wan21_parts(repo: str, *, image_encoder: bool = True) -> tuple[HubFile, ...]:
    """Text encoder, tokenizer, VAE and (Wan2.1 only) CLIP of an original Wan repository."""
    files = [
        HubFile(repo, _T5, "text_encoder", _T5_BYTES, _T5_SHA256),
        HubFile(repo, "google/umt5-xxl/special_tokens_map.json", "tokenizer", 6_623),
        HubFile(
            repo, "google/umt5-xxl/spiece.model", "tokenizer", 4_548_313,
            "e3909a67b780650b35cf529ac782ad2b6b26e6d1f849d3fbb6a872905f452458",
        ),
        HubFile(
            repo, "google/umt5-xxl/tokenizer.json", "tokenizer", 16_837_417,
            "6e197b4d3dbd71da14b4eb255f4fa91c9c1f2068b20a2de2472967ca3d22602b",
        ),
        HubFile(repo, "google/umt5-xxl/tokenizer_config.json", "tokenizer", 61_728),
        HubFile(repo, _VAE, "vae", _VAE_BYTES, _VAE_SHA256),
    ]  # fmt: skip
    if image_encoder:
        files.append(HubFile(repo, _CLIP, "image_encoder", _CLIP_BYTES, _CLIP_SHA256))
    return tuple(files)


def wan21_i2v_480p() -> tuple[HubFile, ...]:
    """The original Wan2.1-I2V-14B-480P: float32 transformer in seven shards."""
    shards = _shards(
        WAN21_I2V_480P,
        "transformer",
        "diffusion_pytorch_model-{}.safetensors",
        (
            (9_847_223_624, "09c0170242cfe9598208724585196ca18f294928fe25971149e1d7b37b3b51d6"),
            (9_797_021_016, "9e9dd8069241f0cbfe8f269e784e915ddaa7f177272b9850ae88c494d418c181"),
            (9_797_041_744, "22af36eb620c381d57a2dd5d5e3a001bf90ba0ca32f2d5013d6ca45225b11d5f"),
            (9_692_142_864, "5c2be0421b8df4a8e7dd31cdbb6489567438ae14b812b57518e43c6f4e49a755"),
            (9_692_142_864, "0ba7f3ab69f414f23e5566e607b9385a8f67907302cbaaf86507b3a826a20dda"),
            (9_692_142_864, "d7287e9233cbf67a75fce8ef8be24232ec93d6336f148972465db00008d69e28"),
            (7_061_933_536, "d1bc30f07b162c34b90e4ee4a349f81b6e1a3a342187ea9ea153c9e4dbb07676"),
        ),
    )
    return (*_original_configs(WAN21_I2V_480P), *shards, *wan21_parts(WAN21_I2V_480P))


def wan21_i2v_720p() -> tuple[HubFile, ...]:
    """The original Wan2.1-I2V-14B-720P: the same architecture, shards cut alike; its checksums are not known here."""
    return tuple(
        replace(file, repo=WAN21_I2V_720P, about=file.part != "tokenizer", sha256=None) for file in wan21_i2v_480p()
    )


def wan22_i2v() -> tuple[HubFile, ...]:
    """The original Wan2.2-I2V-A14B: two float32 experts of six shards each, no CLIP."""
    sizes = (9_994_119_944, 9_943_937_936, 9_943_979_184, 9_839_059_744, 9_839_059_744, 7_595_559_224)
    high = (
        "aeea563f9d38ec434b6761c497027ed2843220ee3efaf8c92c815255ade955e3",
        "fe3b3fcab2b50ff967d971eafbf45e24269c66adacc0881fd6e7f72cd24051e8",
        "c5d7ddaae0ef24ab452d852a7a53dde7bdad598cd8542e6824e65b0666f39e7f",
        "4e954c73022c0c8cfc09ebe1ad9aa069571af0c8954c0ed3a6b77c5c3d6b542d",
        "7c7328fa67ab849427db27145740a3b6531f915ae05f08c0b77c356fd1120be3",
        "a95d645bfdac3bf13f96d52299fac1a416c7a3bc8741a3ea58e5b7fd0eb3505f",
    )
    low = (
        "1127e3dea8c08cd746e36d1a7047a3197449adf13d90725ae0a276aeccaf8521",
        "8250fff242339c31ccb55236e3e1cc25566a2c1d777d1833f3231391fd7d0006",
        "d0f75d2f41fdab239dbc0624c13ca1c56d79196f2aa0ac57f5f5c68cb53220ea",
        "aa6119d3ebf5bae827a1fe19dc8e7cba9dbc5f798635a49f80cc0629ed8a74bf",
        "686cedb30b1696e1ba7034c9287cf1e96471aa997815bb6c183dff9fc7994663",
        "8b024bda8fb709ba69ec91f1efa5edc19e173d40dcb5b0936050c985167a1be9",
    )
    name = "diffusion_pytorch_model-{}.safetensors"
    return (
        *_original_configs(WAN22_I2V, "high_noise_model/", "transformer", 96_805),
        *_shards(WAN22_I2V, "transformer", f"high_noise_model/{name}", zip(sizes, high, strict=True)),
        *_original_configs(WAN22_I2V, "low_noise_model/", "transformer_2", 96_805),
        *_shards(WAN22_I2V, "transformer_2", f"low_noise_model/{name}", zip(sizes, low, strict=True)),
        *wan21_parts(WAN22_I2V, image_encoder=False),
    )


def wan22_ti2v_5b() -> tuple[HubFile, ...]:
    """Wan2.2-TI2V-5B in diffusers' layout: float32 transformer and VAE, bfloat16 text encoder."""
    repo = WAN22_TI2V_5B
    return (
        HubFile(repo, "model_index.json", "pipeline", 499),
        HubFile(repo, "scheduler/scheduler_config.json", "scheduler", 820),
        HubFile(repo, "transformer/config.json", "transformer", 495),
        HubFile(repo, "transformer/diffusion_pytorch_model.safetensors.index.json", "transformer", 73_297),
        *_shards(
            repo,
            "transformer",
            "transformer/diffusion_pytorch_model-{}.safetensors",
            (
                (4_978_254_344, "511bec832a201caa410d09c5ce7dbbf8ad2708c345d82038f684fc74cce982be"),
                (4_846_784_976, "7c42724912b1911429125dc50c0e9a49ccbada5a601b657d4ed2e15e7597c193"),
                (4_972_658_392, "e9c3d0c76de786566382f8258101fea973ae37681c6e9fe0e5fe1fb93b806424"),
                (4_846_785_080, "a331121771790939678db6f585553fd5184609f7d02593c699a4d241b0d834c5"),
                (354_751_840, "78b655685c47efdb2349f36826bb101264e9f212a16325d584aeb5f53c88e719"),
            ),
        ),
        HubFile(repo, "text_encoder/config.json", "text_encoder", 855),
        HubFile(repo, "text_encoder/model.safetensors.index.json", "text_encoder", 22_476),
        *_shards(
            repo,
            "text_encoder",
            "text_encoder/model-{}.safetensors",
            (
                (4_935_812_536, "a8e861969c7433e707cc5a74065d795d36cca07ec96eb6763eb4083df7248f58"),
                (4_983_103_192, "d57d948ece4837d850b7a859a4415121d57cacf8b9ee1d4db200c67f592902d7"),
                (1_442_935_480, "0da9ee284e21d1406df708788db1d502d95d75f69faa25cd26151bf8829b7c5f"),
            ),
        ),
        HubFile(repo, "tokenizer/special_tokens_map.json", "tokenizer", 7_079),
        HubFile(
            repo, "tokenizer/spiece.model", "tokenizer", 4_548_313,
            "e3909a67b780650b35cf529ac782ad2b6b26e6d1f849d3fbb6a872905f452458",
        ),
        HubFile(
            repo, "tokenizer/tokenizer.json", "tokenizer", 16_837_459,
            "20a46ac256746594ed7e1e3ef733b83fbc5a6f0922aa7480eda961743de080ef",
        ),
        HubFile(repo, "tokenizer/tokenizer_config.json", "tokenizer", 61_758),
        HubFile(repo, "vae/config.json", "vae", 1_701),
        HubFile(
            repo, "vae/diffusion_pytorch_model.safetensors", "vae", 2_818_777_808,
            "62cd18f19438e35b32ac63020e2852f566e9b02f46b6cdbd87972a356e3c6f4b",
        ),
    )  # fmt: skip


def cogvideox_i2v() -> tuple[HubFile, ...]:
    """CogVideoX-5b-I2V in diffusers' layout: bfloat16 transformer and T5, float32 VAE."""
    repo = COGVIDEOX_I2V
    return (
        HubFile(repo, "model_index.json", "pipeline", 423),
        HubFile(repo, "scheduler/scheduler_config.json", "scheduler", 500, about=True),
        HubFile(repo, "transformer/config.json", "transformer", 802),
        HubFile(repo, "transformer/diffusion_pytorch_model.safetensors.index.json", "transformer", 103_000, about=True),
        *_shards(
            repo,
            "transformer",
            "transformer/diffusion_pytorch_model-{}.safetensors",
            (
                (4_992_465_072, "f2e3060199c34a0d18892a19d687455f938b0ac3d2ea7d48f37cb4090e141965"),
                (4_985_800_640, "1e8d0c62d366b0d9cc3476d2b21ca54afbecea154d54d923da120b2ec174c7e7"),
                (1_272_025_856, "da91a0051da3f39caf10944b7c9aa66b14ddeffb37a25b087c49fc1692c1a361"),
            ),
        ),
        HubFile(repo, "text_encoder/config.json", "text_encoder", 782),
        HubFile(repo, "text_encoder/model.safetensors.index.json", "text_encoder", 19_900, about=True),
        *_shards(
            repo,
            "text_encoder",
            "text_encoder/model-{}.safetensors",
            (
                (4_994_582_224, "9162b8ae9152e7a8e3bbebc535c8692783f50aec8cd3bb8ef6a751c432dd6392"),
                (4_530_066_360, "d3edef29693d52402b1cc7c362f031e052f2e9482ed0c765c6351950434349b0"),
            ),
        ),
        HubFile(repo, "tokenizer/added_tokens.json", "tokenizer", 2_600, about=True),
        HubFile(repo, "tokenizer/special_tokens_map.json", "tokenizer", 2_500, about=True),
        HubFile(repo, "tokenizer/spiece.model", "tokenizer", 792_000, about=True),
        HubFile(repo, "tokenizer/tokenizer_config.json", "tokenizer", 20_600, about=True),
        HubFile(repo, "vae/config.json", "vae", 839),
        HubFile(
            repo, "vae/diffusion_pytorch_model.safetensors", "vae", 862_388_596,
            "a410e48d988c8224cef392b68db0654485cfd41f345f4a3a81d3e6b765bb995e",
        ),
    )  # fmt: skip


def cogvideox_t2v() -> tuple[HubFile, ...]:
    """CogVideoX-5b in diffusers' layout; all sizes follow from the architecture in bfloat16."""
    return _cogvideox_folder(COGVIDEOX_T2V, COGVIDEOX_BYTES)


def tora_t2v() -> tuple[HubFile, ...]:
    """The authors' text-to-video model in diffusers' layout, the fusers inside the transformer."""
    return _cogvideox_folder(TORA_T2V, COGVIDEOX_BYTES + TORA_FUSER_BYTES + TORA_EXTRACTOR_BYTES)


def tora_i2v() -> tuple[HubFile, ...]:
    """CogVideoX-5b-I2V and the community's two files of what the authors added to it."""
    return (
        *_parts_of(cogvideox_i2v()),
        *_tora_addon(TORA_ADDON_I2V, "fuser_I2V.safetensors", "traj_extractor_I2V.safetensors"),
    )


def tora_t2v_addon() -> tuple[HubFile, ...]:
    """CogVideoX-5b and the community's two files of what the authors added to it."""
    return (
        *_parts_of(cogvideox_t2v()),
        *_tora_addon(TORA_ADDON, "fuser.safetensors", "traj_extractor.safetensors"),
    )


def tora_i2v_sat() -> tuple[HubFile, ...]:
    """The authors' image-to-video model as their program reads it; everything but the transformer is
    CogVideoX-5b-I2V's."""
    # In bfloat16 as the program writes it; the learned positions are a part of it.
    size = (6_319_636_160 + 2 * 17_550 * 64) * 2
    return (
        HubFile(TORA_SAT, "i2v/mp_rank_00_model_states.pt", "transformer", size, about=True),
        *(file for file in _parts_of(cogvideox_i2v()) if file.part != "transformer"),
    )


def ati() -> tuple[HubFile, ...]:
    """The original ATI checkpoint holds the transformer alone; everything else is Wan2.1-I2V-14B-480P's."""
    return (*_original_transformer(ATI), *wan21_parts(WAN21_I2V_480P))


def ati_fp8() -> tuple[HubFile, ...]:
    """ATI's transformer as one float8 file."""
    transformer = HubFile(
        KIJAI, "Wan2_1-I2V-ATI-14B_fp8_e4m3fn.safetensors", "transformer", 17_135_435_696,
        "9f5e44de79dfec7cb78a92d1b85d61cec68b950ac3b458ee7b4d8102bbc45ab0",
    )  # fmt: skip
    return (transformer, *wan21_parts(WAN21_I2V_480P))


def wan_move() -> tuple[HubFile, ...]:
    """Wan-Move's own repository, laid out as Wan2.1-I2V-14B-480P; the parts that are not its own come from there."""
    return (*_original_transformer(WAN_MOVE), *wan21_parts(WAN21_I2V_480P))


def wan_move_fp8() -> tuple[HubFile, ...]:
    """Wan-Move's transformer as one file of float8 weights with scales."""
    transformer = HubFile(
        KIJAI_SCALED, "WanMove/Wan21-WanMove_fp8_scaled_e4m3fn_KJ.safetensors", "transformer", 16_402_832_658,
        "88aa449ce87dae29f3e6c1ec1c6107ba1a2d5057e6547ac1720d75c71eac32e9",
    )  # fmt: skip
    return (transformer, *wan21_parts(WAN21_I2V_480P))


def circle_rotate() -> tuple[HubFile, ...]:
    """Wan2.2-I2V-A14B, the orbit LoRA of each expert, and the four-step LoRA of each expert."""
    name = "wan2.2_i2v_A14b_{}_noise_lora_rank64_lightx2v_4step_1022.safetensors"
    # Rank 32 on 400 linear layers in float32, with 400 alphas.
    size = 153_354_640 * 4
    return (
        *wan22_i2v(),
        HubFile(CIRCLE_ROTATE, "circle_rotate_h.safetensors", "lora", size, about=True),
        HubFile(CIRCLE_ROTATE, "circle_rotate_l.safetensors", "lora_2", size, about=True),
        HubFile(
            LIGHTX2V, name.format("high"), "lora_fast", 634_645_944,
            "887c3bdeb74e83859c920438e16ca31f39ab18ce189abc5f0e36f8348c5bbb19",
        ),
        HubFile(
            LIGHTX2V, name.format("low"), "lora_fast_2", 739_472_104,
            "8833bd4fd7c8eabebf0bc8ee5cfaf47f4f310ce116928a02c1adf8941dd4b0f1",
        ),
    )  # fmt: skip


def _cogvideox_folder(repo: str, transformer_bytes: int) -> tuple[HubFile, ...]:
    """A folder of the CogVideoX family whose shards are not known."""
    weights: tuple[tuple[Part, str, int], ...] = (
        ("transformer", "diffusion_pytorch_model", transformer_bytes),
        ("text_encoder", "model", 4_762_310_656 * 2),
        ("vae", "diffusion_pytorch_model", 215_583_907 * 2),
    )
    files = [
        HubFile(repo, "model_index.json", "pipeline", 450, about=True),
        HubFile(repo, "scheduler/scheduler_config.json", "scheduler", 500, about=True),
        HubFile(repo, "tokenizer/*.json", "tokenizer", 26_000, about=True),
        HubFile(repo, "tokenizer/spiece.model", "tokenizer", 792_000, about=True),
    ]
    for part, name, size in weights:
        files.append(HubFile(repo, f"{part}/config.json", part, 800, about=True))
        if part != "vae":
            files.append(HubFile(repo, f"{part}/{name}.safetensors.index.json", part, 100_000, about=True))
        files.append(HubFile(repo, f"{part}/{name}*.safetensors", part, size, about=True))
    return tuple(files)


def _parts_of(files: tuple[HubFile, ...]) -> tuple[HubFile, ...]:
    """The parts of a diffusers folder, for a model that is more than the folder."""
    return tuple(file for file in files if file.part != "pipeline")


def _tora_addon(repo: str, fuser: str, extractor: str) -> tuple[HubFile, ...]:
    # The loader of kijai/ComfyUI-CogVideoXWrapper takes every extractor from one repository and the fusers from that of
    # the model, and looks for them in folders of their names; where they lie in the repositories was not seen.
    return (
        HubFile(repo, f"**/{fuser}", "fuser", TORA_FUSER_BYTES, about=True),
        HubFile(TORA_ADDON, f"**/{extractor}", "traj_extractor", TORA_EXTRACTOR_BYTES, about=True),
    )


def _original_configs(
    repo: str, folder: str = "", part: Part = "transformer", index: int = 119_000
) -> tuple[HubFile, ...]:
    name = f"{folder}diffusion_pytorch_model.safetensors.index.json"
    return (
        HubFile(repo, f"{folder}config.json", part, 250),
        HubFile(repo, name, part, index, about=index == 119_000),
    )


def _original_transformer(repo: str) -> tuple[HubFile, ...]:
    return (
        HubFile(repo, "config.json", "transformer", 250, about=True),
        HubFile(repo, "diffusion_pytorch_model*.safetensors", "transformer", WAN21_I2V_BYTES, about=True),
    )


def _shards(repo: str, part: Part, name: str, entries: Iterable[tuple[int, str]]) -> tuple[HubFile, ...]:
    listed = list(entries)
    return tuple(
        HubFile(repo, name.format(f"{number:05d}-of-{len(listed):05d}"), part, size, sha256)
        for number, (size, sha256) in enumerate(listed, start=1)
    )
