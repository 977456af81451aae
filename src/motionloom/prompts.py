"""Longer prompts before a run: from the motion itself, from a local language model, or from a plug-in.

An extender is any function from `PromptContext` to the new prompt. Names: "motion" (also "motion:en", "motion:zh"),
"transformers:FOLDER", and whatever installed packages announce as entry points of the group
"motionloom.prompt_extenders", for example in their pyproject.toml::

    [project.entry-points."motionloom.prompt_extenders"]
    haiku = "my_package:extend"
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError, InputError, MotionloomError
from motionloom.prompt_styles import SYSTEM_PROMPTS, Style, style_for, within_sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motionloom.tracks.motion import Motion
    from motionloom.tracks.tracks import Tracks

__all__ = [
    "PromptContext",
    "PromptExtender",
    "Style",
    "extend_by_chat",
    "extend_by_motion",
    "extend_prompt",
    "extender_names",
    "find_extender",
    "style_for",
]

GROUP = "motionloom.prompt_extenders"
LONGEST = 4000  # characters of a result; the text encoders of video models read some 500 tokens


@dataclass(frozen=True)
class PromptContext:
    """What an extender may look at.

    Attributes:
        prompt: as the user gave it, maybe empty.
        image: the photograph, uint8 [H, W, 3]; None where there is none.
        motion: a `Motion` or `Tracks`; None where there is none.
        style: of prompt that the model wants; see `style_for`.
    """

    prompt: str
    image: NDArray[np.uint8] | None = None
    motion: Motion | Tracks | None = None
    style: Style = "photograph"


PromptExtender = Callable[[PromptContext], str]


def extend_prompt(extender: str | PromptExtender, context: PromptContext) -> str:
    """The longer prompt.

    Args:
        extender: a function, or a name that `find_extender` knows.

    Raises:
        InputError: no extender of that name, or an argument it cannot use.
        MotionloomError: the extender failed or returned something that is no prompt.
    """
    name = extender if isinstance(extender, str) else getattr(extender, "__name__", type(extender).__name__)
    function = find_extender(extender) if isinstance(extender, str) else extender
    try:
        found: Any = function(context)
    except MotionloomError:
        raise
    except Exception as error:
        raise MotionloomError(
            f"prompt extender {name!r}: failed with {type(error).__name__} ({error}); run without it, or mend it"
        ) from error
    if not isinstance(found, str):
        raise MotionloomError(f"prompt extender {name!r}: returned {type(found).__name__}, expected text")
    text = found.strip()
    if context.prompt.strip() and not text:
        raise MotionloomError(f"prompt extender {name!r}: returned no text for the prompt {context.prompt!r}")
    if len(text) > LONGEST:
        raise MotionloomError(f"prompt extender {name!r}: returned {len(text)} characters, expected at most {LONGEST}")
    return text


def find_extender(name: str) -> PromptExtender:
    """The extender of a name; see the top of this file.

    Raises:
        InputError: no such name; the message lists those there are.
        MotionloomError: a plug-in that cannot be loaded.
    """
    kind, _, argument = name.partition(":")
    if kind == "motion":
        if argument not in ("", "en", "zh"):
            raise InputError(f"prompt extender: found language {argument!r}, expected motion, motion:en or motion:zh")
        return lambda context: extend_by_motion(context, argument or None)
    if kind == "transformers":
        if not argument:
            raise InputError("prompt extender: found 'transformers', expected transformers:FOLDER of a chat model")
        return lambda context: extend_by_chat(context, Path(argument))
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:
                raise MotionloomError(
                    f"prompt extender {name!r}: {entry.value} cannot be loaded ({type(error).__name__}: {error})"
                ) from error
    raise InputError(f"prompt extender: found {name!r}, expected one of {', '.join(extender_names())}")


def extender_names() -> list[str]:
    """All names, as a person would type them."""
    return ["motion", "transformers:FOLDER", *sorted({entry.name for entry in entry_points(group=GROUP)})]


def extend_by_motion(context: PromptContext, language: str | None = None) -> str:
    """The prompt and the motion in plain words after it; the same words for the same motion.

    Args:
        language: "en" or "zh"; by default Chinese after a prompt with Chinese characters where the model's style is not
            English alone, otherwise English.
    """
    from motionloom.tracks.words import describe

    prompt = context.prompt.strip()
    if context.motion is None:
        return prompt
    chinese = language == "zh" if language else _in_chinese(context)
    words = describe(context.motion, "zh" if chinese else "en")
    if not (prompt and words):
        return prompt or words
    if prompt[-1] not in ".!?。！？…\"'”’":
        prompt += "。" if chinese else "."
    return prompt + words if chinese else f"{prompt} {words}"


def extend_by_chat(context: PromptContext, folder: Path, *, max_new_tokens: int = 256) -> str:
    """What a chat model in a local folder makes of the prompt and of the motion in words, in the context's style.

    The model is loaded for the call and let go after it, since the video model needs the memory. It always gives the
    likeliest answer, so that the same prompt and motion give the same text. Nothing is fetched and no code of the
    folder is run.

    Raises:
        CheckpointError: no such folder, or no text-generation model in it.
    """
    if not (folder / "config.json").is_file():
        found = "no config.json in it" if folder.is_dir() else "no such folder"
        raise CheckpointError(
            f"{folder}: {found}, expected the folder of a chat model for transformers (config.json, *.safetensors and "
            "the tokenizer)"
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype="auto"
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise CheckpointError(f"{folder}: no chat model that transformers can load ({error})") from error
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    task, question = SYSTEM_PROMPTS[context.style], _question(context)
    if tokenizer.chat_template:
        messages = [{"role": "system", "content": task}, {"role": "user", "content": question}]
        given = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True, enable_thinking=False
        )
    else:
        given = tokenizer(f"{task}\n\n{question}\n\nParagraph:", return_tensors="pt")
    given = {key: value.to(model.device) for key, value in given.items() if key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        answer = model.generate(
            **given,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        )
    text = tokenizer.decode(answer[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    del model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # what the allocator keeps looks used to whoever plans the video model's memory
    # Models that think aloud do so in front of the answer, in these tags.
    text = re.sub(r"<think>.*?(</think>|$)", "", text, flags=re.DOTALL).strip().strip('"“”').strip()
    if not text:
        raise MotionloomError(f"{folder}: the model answered nothing; use another model, or motion as the extender")
    return within_sentences(text) if context.style == "caption" else text


def _question(context: PromptContext) -> str:
    from motionloom.tracks.words import describe

    words = "" if context.motion is None else describe(context.motion, "zh" if _in_chinese(context) else "en")
    lines = [f"Prompt: {context.prompt.strip() or '(none)'}", f"Movements: {words or '(none)'}"]
    if context.style == "caption" and context.image is not None:
        lines.append(
            "The video begins with a photograph that you cannot see: say little of looks, much of what happens."
        )
    return "\n".join(lines)


def _in_chinese(context: PromptContext) -> bool:
    return context.style == "photograph" and re.search(r"[\u4e00-\u9fff]", context.prompt) is not None
