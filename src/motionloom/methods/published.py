"""The stock Wan image-to-video pipeline with the published programs' view of the picture, batches, and memory.

Three things the stock `__call__` does not do, each in an override of the method it calls for it:

- The picture is prepared as the published programs do: bicubic without antialiasing or clamping for the VAE, and for
  CLIP the photograph at its own size stretched to 224 x 224 (``preprocessing="published"``).
- Every video of a batch may have a picture of its own, a last picture, and a generator.
- What depends on the prompt or the picture alone is kept from the last call: another seed costs no text encoder, no
  CLIP and no VAE encoding.
"""

from __future__ import annotations

import hashlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.utils.torch_utils import get_module_execution_device, randn_tensor
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.wan import begin_at, clip_pixels, resize_bicubic, resize_to_cover

Preprocessing = Literal["published", "cover", "diffusers"]
"""How a picture becomes (height, width): "published" stretches as ATI and Wan-Move do, "cover" scales and crops as the
first/last-frame graphs of ComfyUI do, "diffusers" is the stock pipeline's."""

_SIGNATURE = inspect.signature(WanImageToVideoPipeline.__call__)
_REMEMBERED = 4  # results kept of each kind: prompts, pictures


@dataclass(frozen=True)
class _Call:
    """One `__call__`: what the stock loop is not told because it would repeat or resize it."""

    images: tuple[Any, ...]
    last_images: tuple[Any, ...]
    preprocessing: Preprocessing
    text: dict[str, Any]
    num_videos: int  # per prompt


class PublishedInputsPipeline(WanImageToVideoPipeline):
    """`WanImageToVideoPipeline` with `Preprocessing`, a picture per prompt, and results kept between calls."""

    _call: _Call | None = None

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> Self:
        """A pipeline of this class that shares the components of a loaded one, which stays usable beside it.

        The components are taken as they are. The stock `from_pipe` casts them to float32 where no ``dtype`` is given,
        in the other pipeline too, and leaves out a VAE that is not of the very class it expects.

        Args:
            pipeline: any pipeline with the components of `WanImageToVideoPipeline`.
            **kwargs: components or settings to use instead; ``dtype`` to cast to.
        """
        dtype = kwargs.pop("dtype", None) or kwargs.pop("torch_dtype", None)
        components, settings = cls._get_signature_keys(cls)
        shared = {name: getattr(pipeline, name, None) for name in components}
        shared |= {name: pipeline.config[name] for name in settings if name in pipeline.config}
        guided = cls(**{**shared, **kwargs})
        return guided if dtype is None else guided.to(dtype)

    def __call__(self, *args: Any, preprocessing: Preprocessing = "diffusers", **kwargs: Any) -> Any:
        """The stock `__call__`.

        Args:
            *args, **kwargs: of `WanImageToVideoPipeline.__call__`. ``image`` and ``last_image`` may be lists, one per
                prompt, of PIL images, uint8 arrays [H, W, 3] or tensors [1, 3, H, W] in [-1, 1].
            preprocessing: see `Preprocessing`; tensors are taken as they are, at the size of the clip.

        Raises:
            InputError: as many pictures as prompts were expected.
        """
        bound = _SIGNATURE.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        given.pop("self")
        if given["image"] is None or given["image_embeds"] is not None:
            return super().__call__(**given)  # the stock pipeline knows what to say
        prompt, embeds = given["prompt"], given["prompt_embeds"]
        prompts = len(prompt) if isinstance(prompt, list) else 1 if embeds is None else embeds.shape[0]
        videos = int(given["num_videos_per_prompt"] or 1)
        images = _one_per_prompt(given["image"], prompts, "image")
        last_images = _one_per_prompt(given["last_image"], prompts, "last_image")
        names = ("prompt", "negative_prompt", "prompt_embeds", "negative_prompt_embeds")
        text = {name: given[name] for name in names}
        self.check_inputs(
            image=_placeholder(given),
            height=given["height"],
            width=given["width"],
            callback_on_step_end_tensor_inputs=given["callback_on_step_end_tensor_inputs"],
            guidance_scale_2=given["guidance_scale_2"],
            **text,
        )
        generator = given["generator"]
        if isinstance(generator, list) and len(generator) != prompts * videos:
            raise InputError(f"generator: found {len(generator)} for {prompts * videos} videos, expected one for each")
        # The loop is told of one prompt with many videos: it would repeat pictures and embeddings otherwise.
        given.update(dict.fromkeys(names), prompt="", image=_placeholder(given), num_videos_per_prompt=prompts * videos)
        given["last_image"] = _placeholder(given) if last_images else None
        before = self._call
        self._call = _Call(images, last_images, preprocessing, text, videos)
        try:
            return super().__call__(**given)
        finally:
            self._call = before
            begin_at(self.scheduler, None)

    def encode_prompt(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        """The stock embeddings, for every video; the text encoder runs once for the same prompts."""
        call = self._call
        if call is None:
            return super().encode_prompt(*args, **kwargs)
        options = {**kwargs, **call.text, "num_videos_per_prompt": call.num_videos}
        if call.text["prompt_embeds"] is not None:
            prompt, negative = super().encode_prompt(*args, **{**options, "num_videos_per_prompt": 1})
            several = [
                each if each is None else each.repeat_interleave(call.num_videos, 0) for each in (prompt, negative)
            ]
            return several[0], several[1]  # pyright: ignore[reportReturnType]

        stock = super().encode_prompt
        key = tuple(repr(options[name]) for name in sorted(options))
        return self._remembered("text_encoder", key, lambda: stock(*args, **options))

    def encode_image(self, image: Any, device: torch.device | None = None) -> Tensor:
        """CLIP's second to last layer for every video, [B, tokens, D]; with a last picture and a model trained for two
        (``pos_embed_seq_len``) both, [2 B, tokens, D]."""
        call = self._call
        if call is None:
            return super().encode_image(image, device)
        device = device or self._execution_device
        # A model trained on one picture's tokens gets those of the first frame.
        two = bool(call.last_images) and self.transformer.config.pos_embed_seq_len is not None
        found: list[Tensor] = []
        for index, first in enumerate(call.images):
            pictures = [first, call.last_images[index]] if two else [first]
            one = torch.cat([self._clip_features(picture, call.preprocessing, device) for picture in pictures])
            found.extend([one] * call.num_videos)
        return torch.cat(found)

    def prepare_latents(
        self,
        image: Any,
        batch_size: int,
        num_channels_latents: int = 16,
        height: int = 480,
        width: int = 832,
        num_frames: int = 81,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        generator: Any = None,
        latents: Tensor | None = None,
        last_image: Tensor | None = None,
    ) -> Any:
        """The stock latents and condition, one condition per picture of the call."""
        begin_at(self.scheduler, 0)
        stock: Any = super().prepare_latents
        sizes = (num_channels_latents, height, width, num_frames, dtype, device)
        call = self._call
        ended = last_image is not None
        if call is None:
            noise, condition, *rest = stock(image, batch_size, *sizes, generator, latents, last_image)
            return noise, self.conditioned(condition, num_frames, (height, width), ended), *rest
        if latents is None:
            frames = (num_frames - 1) // self.vae_scale_factor_temporal + 1
            cells = [side // self.vae_scale_factor_spatial for side in (height, width)]
            shape = (batch_size, num_channels_latents, frames, *cells)
            latents = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        else:
            latents = latents.to(device=device, dtype=dtype)
        conditions: list[Tensor] = []
        extra: tuple[Tensor, ...] = ()
        for index, picture in enumerate(call.images):
            last = call.last_images[index] if call.last_images else None

            def encode(first: Any = picture, last: Any = last) -> tuple[Tensor, ...]:
                pixels = [
                    None if one is None else self._pixels(one, (height, width), call.preprocessing).to(device)
                    for one in (first, last)
                ]
                # The stock method only passes these latents through.
                return stock(pixels[0], 1, *sizes, None, latents[:1], pixels[1])[1:]

            key = (_digest(picture), _digest(last), call.preprocessing, *map(str, sizes))
            condition, *rest = self._remembered("vae", key, encode)
            extra = tuple(rest)
            conditions.extend([condition] * call.num_videos)
        condition = self.conditioned(torch.cat(conditions), num_frames, (height, width), ended)
        return latents, condition, *extra

    def picture_sizes(self, videos: int, size: tuple[int, int]) -> list[tuple[int, int]]:
        """(height, width) of the picture of every video as it was given; ``size``, of the videos, if none is known."""
        call = self._call
        if call is None:
            return [size] * videos
        return [_size_of(picture) for picture in call.images for _ in range(call.num_videos)]

    def conditioned(self, condition: Tensor, num_frames: int, size: tuple[int, int], has_last_image: bool) -> Tensor:
        """What the model is to see instead of the condition [B, C, T, H, W] of the pictures; here the same.

        Args:
            num_frames, size: of the videos, (height, width) in pixels.
            has_last_image: whether the last frame is known too.
        """
        return condition

    def _pixels(self, picture: Any, size: tuple[int, int], preprocessing: Preprocessing) -> Tensor:
        """float32 [1, 3, H, W], about [-1, 1]."""
        if isinstance(picture, Tensor):
            if tuple(picture.shape[-2:]) != size:
                picture = torch.nn.functional.interpolate(picture.float(), size, mode="bicubic")
            return picture.float().reshape(1, 3, *size)
        if preprocessing == "diffusers":
            stock: Any = self.video_processor
            return stock.preprocess(_image(picture), height=size[0], width=size[1]).float()
        resize = resize_bicubic if preprocessing == "published" else resize_to_cover
        return resize(_array(picture), size)[None]

    def _clip_features(self, picture: Any, preprocessing: Preprocessing, device: torch.device) -> Tensor:
        stock = super().encode_image

        def encode() -> Tensor:
            if preprocessing == "diffusers" and self.image_processor is not None:
                return stock(picture if isinstance(picture, Tensor) else _image(picture), device)
            encoder: Any = self.image_encoder
            pixels = picture.float() if isinstance(picture, Tensor) else _array(picture)
            # Not where its weights are: while they are offloaded, that is not where it works.
            where, dtype = get_module_execution_device(encoder), next(encoder.parameters()).dtype
            pixels = clip_pixels(pixels, encoder.config.image_size).to(where, dtype)
            return encoder(pixel_values=pixels, output_hidden_states=True).hidden_states[-2].to(device)

        return self._remembered("image_encoder", (_digest(picture), preprocessing), encode)

    def _remembered(self, part: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` returned for this key before, or returns now. Another component in ``part`` forgets it all."""
        memory: dict[str, tuple[Any, OrderedDict[Hashable, Any]]] = self.__dict__.setdefault("_results", {})
        component = getattr(self, part)
        if part not in memory or memory[part][0] is not component:
            memory[part] = (component, OrderedDict())
        results = memory[part][1]
        if key not in results:
            results[key] = make()
        results.move_to_end(key)
        while len(results) > _REMEMBERED:
            results.popitem(last=False)
        return results[key]

    def forget(self) -> None:
        """Drop what is kept between calls."""
        self.__dict__.pop("_results", None)


def _one_per_prompt(pictures: Any, prompts: int, name: str) -> tuple[Any, ...]:
    if pictures is None:
        return ()
    if isinstance(pictures, Tensor) and pictures.ndim == 3:
        pictures = pictures[None]
    if isinstance(pictures, Tensor):
        listed: Sequence[Any] = list(pictures.split(1))
    else:
        listed = list(pictures) if isinstance(pictures, (list, tuple)) else [pictures]
    if len(listed) not in (1, prompts):
        raise InputError(
            f"{name}: found {len(listed)} for {prompts} prompts; give one for all, or one for every prompt"
        )
    return tuple(listed) if len(listed) == prompts else tuple(listed) * prompts


def _placeholder(given: dict[str, Any]) -> Tensor:
    """A picture for the stock loop to look at: the overrides bring the real one."""
    return torch.zeros(1, 3, given["height"], given["width"])


def _array(picture: Any) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)


def _size_of(picture: Any) -> tuple[int, int]:
    shape = picture.shape[-2:] if isinstance(picture, Tensor) else _array(picture).shape[:2]
    return int(shape[0]), int(shape[1])


def _image(picture: Any) -> Image.Image:
    return picture if isinstance(picture, Image.Image) else Image.fromarray(picture)


def _digest(picture: Any) -> str:
    if picture is None:
        return ""
    data = picture.detach().float().cpu().numpy() if isinstance(picture, Tensor) else np.asarray(picture)
    return f"{data.shape}{data.dtype}{hashlib.sha256(data.tobytes()).hexdigest()}"
