"""Chosen cases of a benchmark as a benchmark of their own, in the published layout."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.movebench.benchmark import Case, all_parts, case_at
from motionloom.evaluate.movebench.layout import Part, find_layout, read_list
from motionloom.evaluate.movebench.manifest import Manifest, read_manifest
from motionloom.media.files import replacing_folder


def export_cases(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    ids: Collection[str] | None = None,
    categories: Collection[str] | None = None,
    tags: Collection[str] | None = None,
    language: str | None = None,
    mode: str | None = None,
    annotations: bool = False,
    overwrite: bool = False,
) -> int:
    """Copy cases into a new folder; complete or not at all.

    Args:
        ids, categories, tags: the cases that have one of each; None is all. Categories as annotated, or else as the
            tracks show.
        language, mode: of these alone.
        annotations: write cases.jsonl too; without it, the folder is the pure published layout.

    Returns:
        How many cases were copied; one in two languages or modes counts once.

    Raises:
        InputError: ``out`` exists, no case fits, an id that is not there.
        FileFormatError: a file of a chosen case is missing.
    """
    target = Path(out)
    if target.exists() and not overwrite and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target}: exists already; choose another name, or replace it with --overwrite")
    layout = find_layout(Path(root))
    if target.resolve() == layout.root.resolve() or target.resolve() in layout.root.resolve().parents:
        raise InputError(f"{target}: is or holds the benchmark itself; choose another folder")
    manifest = read_manifest(layout.manifest)
    chosen: list[tuple[Part, Case]] = []
    known: set[str] = set()
    for part, each in all_parts(layout, language, mode):
        for id, caption in read_list(part.list_file(each)).items():
            known.add(id)
            case = case_at(part, each, id, caption, manifest)
            if (ids is None or id in ids) and _fits(case, categories, tags):
                chosen.append((part, case))
    unknown = sorted(set(ids or ()) - known)
    if unknown:
        raise InputError(f"id: found {unknown[0]!r}, which is not among the {len(known)} cases of {layout.root}")
    if not chosen:
        raise InputError(f"{layout.root}: none of the {len(known)} cases fits what was asked for")
    lines: dict[Path, list[str]] = {}
    with replacing_folder(target) as folder:
        kept = Manifest({name: value for name, value in manifest.facts.items() if name != "name"})
        for part, case in chosen:
            there = Part(folder / part.language, part.language)
            for _, path in case.files():
                copy = there.folder / path.relative_to(part.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                try:
                    shutil.copyfile(path, copy)
                except FileNotFoundError:
                    raise FileFormatError(
                        f"{path}: no such file; motionloom bench check lists all that is missing"
                    ) from None
            lines.setdefault(there.list_file(case.mode), []).append(f"{case.id}.mp4,{case.caption}\n")
            if case.id in manifest.cases:
                kept.cases[case.id] = manifest.cases[case.id]
        for path, named in lines.items():
            path.write_text("".join(named), "utf-8", newline="\n")
        if annotations:
            kept.facts = {"name": target.name, **kept.facts}
            kept.save(folder / layout.manifest.name)
    return len({case.id for _, case in chosen})


def _fits(case: Case, categories: Collection[str] | None, tags: Collection[str] | None) -> bool:
    if tags is not None and not set(tags) & set(case.annotations.get("tags", ())):
        return False
    return categories is None or case.motion_category() in categories
