"""motionloom models list, show, fetch, path."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionloom.cli.console import byte_progress, say, show_table, warn
from motionloom.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from motionloom.models.card import ModelCard, Sampling
    from motionloom.models.fetch import Plan

app = typer.Typer(no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")]
Name = Annotated[str, typer.Argument(help="Name from motionloom models list.", show_default=False)]

GPU_SIZES = (6, 8, 12, 16, 24, 32, 40, 48, 80, 96, 141)
"""GB of memory of the GPUs people have; which of them a preset needs is what `show` says."""


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """What models exist, which are on this disk, under what licence."""
    from motionloom.models.catalog import list_models
    from motionloom.models.store import bytes_text, models_folder, state

    cards = list_models()
    if as_json:
        say(json.dumps([_document(card) for card in cards], default=str, indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("model", "here", "disk", "method", "commercial", "licence"):
        table.add_column(column, no_wrap=column != "licence", justify="right" if column == "disk" else "left")
    for card in cards:
        table.add_row(
            card.name, state(card), bytes_text(card.size_on_disk) if card.size_on_disk else "-", card.methods[0],
            _yes_no(card.commercial_use), card.licence,
        )  # fmt: skip
    show_table(table)
    makers = [card.name for card in cards if not card.takes_image]
    if makers:
        say(f"\ntext to video, from no photograph: {', '.join(makers)}\nimage to video: all others")
    say(f"\nmotionloom models show NAME tells more. Fetched models lie in\n{models_folder()}")


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """All that is known about one model: files, licence, defaults of the published program, memory it needs."""
    from motionloom.models.catalog import find_model

    card = find_model(name)
    if as_json:
        say(json.dumps(_document(card), default=str, indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for key, value in [*_facts(card).items(), *(("note", note) for note in card.notes)]:
        facts.add_row(key, Text(str(value)))
    show_table(facts)
    _show_memory(card)
    _show_files(card)


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(help="Names from motionloom models list, or hub ids (owner/name).", show_default=False),
    ],
    only: Annotated[
        str | None,
        typer.Option("--only", help="Fetch these parts alone, such as vae,text_encoder,tokenizer.", metavar="PARTS"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and stop.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare checksums of files that are here, too.")] = False,
    accept_changed: Annotated[
        bool, typer.Option("--accept-changed", help="Take files that changed on the hub since this version was made.")
    ] = False,
    connections: Annotated[int, typer.Option("--connections", help="Files fetched at once.", min=1, max=16)] = 4,
    as_json: AsJson = False,
) -> None:
    """Download a model from the hub: only what is missing, resumable, every file checked.

    Stop it whenever you like; the same command goes on where it stopped. HF_ENDPOINT chooses another hub,
    MOTIONLOOM_MODELS another folder, HF_TOKEN or hf auth login opens repositories that ask for it.
    """
    how = _How(only, dry_run, verify, accept_changed, connections, as_json)
    try:
        for name in names:
            _fetch_one(name, how)
    except CheckpointError as error:
        # Several lines: which files belong where.
        print(f"motionloom: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


@app.command()
def path(name: Name, as_json: AsJson = False) -> None:
    """Where the files of a model lie, or belong: one folder per line."""
    from motionloom.models.catalog import find_model
    from motionloom.models.store import state

    card = find_model(name)
    folders = _folders(card)
    if as_json:
        say(json.dumps({"name": card.name, "state": state(card), "folders": folders}, indent=2))
        return
    if not folders:
        raise InputError(f"model: {card.name} has no files")
    for folder in folders:
        say(folder)


@dataclass(frozen=True)
class _How:
    """What was asked of a fetch."""

    only: str | None
    dry_run: bool
    verify: bool
    accept_changed: bool
    connections: int
    as_json: bool


def _fetch_one(name: str, how: _How) -> None:
    from motionloom.models import fetch
    from motionloom.models.catalog import find_model

    whole_repository = "/" in name and how.only is None
    card = fetch.card_of_repository(name) if "/" in name else find_model(name)
    if not card.files:
        say(f"{card.name}: comes with motionloom, there is nothing to fetch")
        return
    if how.only is not None:
        card = _only(card, how.only)
    if how.dry_run:
        _dry_run(card, how)
        return
    try:
        with byte_progress(card.name) as on_progress:
            options: dict[str, Any] = {
                "on_progress": on_progress, "verify": how.verify, "connections": how.connections
            }  # fmt: skip
            if whole_repository:
                work = fetch.plan(card)
                fetch.fetch_repository(name, refresh=True, **options)
            else:
                work = fetch.fetch(card, accept_changed=how.accept_changed, **options)
    except KeyboardInterrupt:
        warn(f"{card.name}: what has arrived is kept; the same command goes on from there")
        raise
    _say_fetched(card, work, how)


def _only(card: ModelCard, only: str) -> ModelCard:
    wanted = [part.strip() for part in only.split(",") if part.strip()]
    parts = list(dict.fromkeys(file.part for file in card.files))
    wrong = [part for part in wanted if part not in parts]
    if wrong or not wanted:
        raise InputError(f"--only: {card.name} has {', '.join(parts)}, found {', '.join(wrong) or repr(only)}")
    files = tuple(file for file in card.files if file.part in wanted)
    return replace(card, files=files, size_on_disk=sum(file.size for file in files))


def _say_fetched(card: ModelCard, work: Plan, how: _How) -> None:
    from motionloom.models.store import bytes_text

    folders = _folders(card)
    if how.as_json:
        document = {"name": card.name, "state": "complete", "bytes_fetched": work.bytes_to_fetch, "folders": folders}
        say(json.dumps(document, indent=2))
        return
    say(f"{card.name}: complete, {bytes_text(work.bytes_to_fetch)} fetched, in {', '.join(folders)}")


def _dry_run(card: ModelCard, how: _How) -> None:
    from motionloom.models import fetch
    from motionloom.models.store import bytes_text, missing_files, repository_folder

    try:
        work = fetch.plan(card, verify=how.verify, accept_changed=how.accept_changed)
    except CheckpointError as error:
        if not missing_files(card):
            raise
        # The catalogue's own list is worth having without a network, too.
        warn(str(error).partition("\n")[0])
        rows = [(file.repo, file.path, file.size, "missing") for file in missing_files(card)]
    else:
        rows = [(file.remote.repo, file.remote.path, file.remote.size, file.action) for file in work.files]
    if how.as_json:
        keys = ("repo", "path", "size", "action")
        say(json.dumps({"name": card.name, "files": [dict(zip(keys, row, strict=True)) for row in rows]}, indent=2))
        return
    for repo in dict.fromkeys(row[0] for row in rows):
        say(f"{repo} -> {repository_folder(repo)}/")
        for _, file, size, action in (row for row in rows if row[0] == repo):
            say(f"  {action:8} {bytes_text(size):>8}  {file}")
    wanted = sum(size for *_, size, action in rows if action in ("download", "missing"))
    say(f"{card.name}: {bytes_text(wanted)} to fetch")


def _document(card: ModelCard) -> dict[str, Any]:
    from motionloom.models.store import state

    return {**asdict(card), "state": state(card), "folders": _folders(card)}


def _folders(card: ModelCard) -> list[str]:
    from motionloom.models.store import repository_folder

    if card.folder is not None:
        return [str(card.folder)]
    return [str(repository_folder(repo)) for repo in dict.fromkeys(file.repo for file in card.files)]


def _facts(card: ModelCard) -> dict[str, object]:
    from motionloom.models.store import bytes_text, state

    facts: dict[str, object] = {
        "name": card.name,
        "title": card.title,
        "description": card.description,
        "also called": ", ".join(card.aliases),
        "licence": card.licence,
        "commercial use": _yes_no(card.commercial_use),
        "makes": "image to video" if card.takes_image else "text to video; needs no photograph",
        "methods": ", ".join(card.methods),
        "clip": _clip(card),
        "other sizes": ", ".join(f"{width}x{height}" for height, width in card.sizes),
        "reads a prompt": _yes_no(card.reads_text),
        "last image": _yes_no(card.takes_last_image),
        "steps": card.default_steps,
        **(_sampling(card.sampling) if card.sampling else {}),
        "here": state(card),
        "on disk": bytes_text(card.size_on_disk) if card.size_on_disk else None,
        "memory": bytes_text(card.memory) if card.memory and not card.memory_by_preset else None,
        "homepage": card.homepage,
    }
    return {key: value for key, value in facts.items() if value not in (None, "")}


def _sampling(sampling: Sampling) -> dict[str, object]:
    guidance = f"{sampling.guidance_scale:g}"
    if sampling.guidance_scale_2 is not None:
        guidance += f", second expert {sampling.guidance_scale_2:g}"
    shift = f"{sampling.shift:g} at {_megapixels(sampling.area)}"
    for area, value in sampling.known_shifts:
        shift += f", {value:g} at {_megapixels(area)}"
    return {
        "steps": f"{sampling.num_inference_steps}{' (made for exactly these)' if sampling.steps_are_fixed else ''}",
        "guidance scale": guidance,
        "solver": sampling.solver,
        "noise levels": _GRIDS.get(sampling.solver),
        "shift": None if sampling.solver == "own" else shift,
        "negative prompt": sampling.negative_prompt,
    }


_GRIDS = {
    "unipc": "equal steps from 0.999 to 0, then shifted",
    "dpm++": "equal steps from 1 to 0, then shifted",
    "euler": "equal steps from 1 to 0, then shifted",
}
"""By solver, what `methods.wan.published_scheduler` puts in place."""


def _megapixels(area: int) -> str:
    return f"{area / 1e6:.2f} Mpx"


def _show_memory(card: ModelCard) -> None:
    if not card.memory_by_preset:
        return
    from motionloom.models.store import bytes_text

    say("\nGPU memory at the native size, estimated, by --memory preset:")
    for preset, needed in card.memory_by_preset.items():
        gpu = next((size for size in GPU_SIZES if size * 1e9 >= needed), None)
        say(f"  {preset:10} {bytes_text(needed):>9}   {f'a GPU of {gpu} GB' if gpu else 'more than one GPU has'}")


def _show_files(card: ModelCard) -> None:
    from motionloom.models.store import present, repository_folder, size_text

    if not card.files:
        return
    say("\nfiles:")
    for repo in dict.fromkeys(file.repo for file in card.files):
        say(f"  {repo} -> {repository_folder(repo)}/")
        for file in (file for file in card.files if file.repo == repo):
            say(f"    {'here' if present(file) else '-':4} {size_text(file):>14}  {file.path}")


def _clip(card: ModelCard) -> str:
    size = "any size" if card.native_size is None else f"{card.native_size[1]}x{card.native_size[0]}"
    frames = "any length" if card.num_frames is None else f"{card.num_frames} frames"
    return f"{size}, {frames}" + (f" at {card.fps:g} fps" if card.fps else "")


def _yes_no(value: bool | None) -> str:
    return "unclear" if value is None else "yes" if value else "no"
