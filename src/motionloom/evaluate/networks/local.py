"""Models of transformers from folders on this disk."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError


def load_folder(
    model: Any, folder: str | Path, *, device: str = "cpu", unused: Collection[str] = (), **options: Any
) -> Any:
    """A model class of transformers filled from a local folder; nothing is fetched.

    Args:
        model: the class.
        unused: beginnings of names that the folder may hold beside those of the model.
        options: of ``from_pretrained``.

    Raises:
        CheckpointError: not such a folder, or its tensors are not those of the model; the message lists them.
    """
    if not (Path(folder) / "config.json").is_file():
        raise CheckpointError(
            f"{folder}: found no config.json, expected a folder of transformers with {model.__name__}"
        )
    with _as_checkpoint_errors(folder), _quiet():
        network, report = model.from_pretrained(str(folder), local_files_only=True, output_loading_info=True, **options)
    missing = sorted(report["missing_keys"])
    misshaped = sorted(str(entry) for entry in report.get("mismatched_keys", ()))
    unexpected = sorted(key for key in report["unexpected_keys"] if not key.startswith(tuple(unused)))
    parts = [
        f"{len(keys)} {word} ({'; '.join(keys[:3])}{'; ...' if len(keys) > 3 else ''})"
        for word, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
        if keys
    ]
    if parts:
        raise CheckpointError(f"{folder}: its tensors are not those of {model.__name__}: {', '.join(parts)}")
    return network.to(device).eval().requires_grad_(False)


def load_processor(processor: Any, folder: str | Path, **options: Any) -> Any:
    """What prepares pictures for a model: a class of transformers from a local folder.

    Args:
        options: of ``from_pretrained``.

    Raises:
        CheckpointError: the folder does not hold its settings.
    """
    try:
        return processor.from_pretrained(str(folder), local_files_only=True, **options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{folder}: found no usable preprocessor_config.json ({text})") from None


def load_tokenizer(tokenizer: Any, folder: str | Path, *, words: int) -> Any:
    """A tokenizer class of transformers from a local folder.

    Args:
        words: of the vocabulary the model has.

    Raises:
        CheckpointError: it is not there, damaged, or that of another model. transformers itself would go on with an
            empty one.
    """
    with _as_checkpoint_errors(folder):
        loaded = tokenizer.from_pretrained(str(folder), local_files_only=True)
    if len(loaded) != words:
        raise CheckpointError(
            f"{folder}: found a tokenizer of {len(loaded)} words, expected {words} as the model has; the folder lacks "
            "tokenizer.json, or vocab.json and merges.txt, or they are those of another model"
        )
    return loaded


@contextlib.contextmanager
def _as_checkpoint_errors(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # transformers lets the errors of json, safetensors, tokenizers and torch through.
        if isinstance(error, CheckpointError):
            raise
        text = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{folder}: does not open as a folder of transformers ({text})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Its report of loading says in a table what is said here in an error."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
