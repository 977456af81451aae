"""The tables of the benchmark of nano, and what of its goals is met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Found = Mapping[str, Any]

GUIDED = ("ati", "wan_move")
CODEC_PSNR = 31.0  # dB, on moving photographs
OF_UNGUIDED = 0.15  # EPE over that of the unguided run
EPE_128 = 1.5  # px at 128x128
DRIFT = 0.5  # px
FEW_STEPS, MANY_STEPS, OF_MANY = 4, 20, 1.1  # EPE of few steps over that of many
SECONDS = 3.0  # 17 frames of 128x128 on two cores
LOOKS_OF_TRUTH = {
    "sharpness": ("sharpness kept", "least", 0.5),
    "contrast": ("contrast kept", "least", 0.85),
    "flicker": ("flicker", "most", 1.5),
    "pulse": ("pulse", "most", 1.5),
    "blocks_4": ("blocks of 4", "most", 1.2),
    "blocks_8": ("blocks of 8", "most", 1.2),
}
"""Nobody said in numbers what melting, fog, flicker and blocks are: our own bars, over the same number of the truth."""

_COLUMNS = (
    ("epe", "EPE px", ".2f"),
    ("epe_trackable", "trackable", ".2f"),
    ("epe_median", "median", ".2f"),
    ("psnr", "PSNR dB", ".2f"),
    ("psnr_new", "new dB", ".2f"),
    ("gms_new", "new gms", ".4f"),
    ("lpips_new", "new lpips", ".3f"),
    ("psnr_all", "all dB", ".2f"),
    ("gms_all", "all gms", ".4f"),
    ("lpips_all", "all lpips", ".3f"),
)
_LOOKS = (
    ("flicker", "flicker", ".2f"),
    ("pulse", "pulse", ".2f"),
    ("sharpness", "sharpness", ".2f"),
    ("brightness", "light", "+.1f"),
    ("contrast", "contrast", ".2f"),
    ("blocks_4", "blocks 4", ".2f"),
    ("blocks_8", "blocks 8", ".2f"),
)
_AGAINST_WARP = (("minus_warp", "new", "new pixels"), ("minus_warp_several", "all", "several things move"))
_PARTS = ("procedural", "photographs", "all")


def goals(result: Found) -> list[dict[str, Any]]:
    """What was asked of the model, what was found, and whether that is met; for every run and way it applies to."""
    found = [goal for run in result["runs"] for goal in _of_run(run, result)]
    by_steps = {(run["model"], run["steps"]): run for run in result["runs"]}
    for (model, steps), run in by_steps.items():
        many = by_steps.get((model, MANY_STEPS))
        if steps != FEW_STEPS or many is None:
            continue
        for way in GUIDED:
            share = _epe(run, way) / _epe(many, way)
            found.append(_goal(run, way, f"EPE of {FEW_STEPS} steps over that of {MANY_STEPS}", share, most=OF_MANY))
    return found


def show(result: Found) -> None:
    """Print everything as tables."""
    several_models = len(result["models"]) > 1
    for part in _PARTS:
        if part not in result["baselines"] or (part == "all" and len(result["baselines"]) == 2):
            continue
        run = result["runs"][0]
        print(f"\n{part}: {run[part]['cases']} clips, {run[part]['several']} of them with several moving things")
        ways = list(_ways(result, part, several_models))
        for columns in (_COLUMNS, _LOOKS):
            _table(ways, columns)
    _against_warp(result, several_models)
    _anchors(result, several_models)
    print("\ncodec dB; seconds for 17 frames of 128x128, the whole call")
    for run in result["runs"]:
        parts = [f"{part} {run[part]['codec_psnr']['mean']:.2f} dB" for part in _PARTS if part in run]
        print(f"  {_name(run, several_models):28}{run['seconds_128']:.2f} s    {', '.join(parts)}")
    if len(result["runs"]) > 1:
        _against_first(result, several_models)
    print("\ngoals")
    for goal in result["goals"]:
        sign = "met   " if goal["met"] else "missed"
        where = f"{goal['model']}, {goal['steps']} steps, {goal['way']}"
        print(f"  {sign} {where}: {goal['goal']}: {goal['found']:.3g} ({goal['wanted']})")


def _of_run(run: Found, result: Found) -> Iterator[dict[str, Any]]:
    if "photographs" in run:
        codec = run["photographs"]["codec_psnr"]["mean"]
        yield _goal(run, "codec", "PSNR on moving photographs, dB", codec, least=CODEC_PSNR)
    for way in GUIDED:
        entry = run["all"]["ways"][way]
        yield _goal(run, way, "EPE of unguided", entry["of_unguided"]["mean"], most=OF_UNGUIDED)
        if result["size"] == [128, 128]:
            yield _goal(run, way, "EPE, px", entry["epe"]["mean"], most=EPE_128)
        for key, end, where in (
            ("minus_warp", "new", "new pixels"),
            ("minus_warp_several", "all", "several things move"),
        ):
            for name in ("psnr", "gms", "lpips"):
                against = entry[key].get(f"{name}_{end}")
                if against is None or against["mean"] is None:
                    continue
                bound = {"least": 0.0} if name == "psnr" else {"most": 0.0}
                yield _goal(run, way, f"{name} minus warp's, {where}", against["mean"], **bound)
        for sort, found in run["anchors"].items():
            if way in found:
                yield _goal(run, way, f"drift of {sort} anchors, px", found[way]["drift"]["mean"], most=DRIFT)
    truth = result["baselines"]["all"]["truth"]
    for way in ("unguided", *GUIDED):
        for name, (title, side, bar) in LOOKS_OF_TRUTH.items():
            mine, true = (entry.get(name, {}).get("mean") for entry in (run["all"]["ways"][way], truth))
            if mine is not None and true:
                yield _goal(run, way, f"{title}, of the truth's", mine / true, **{side: bar})
    yield _goal(run, "ati", f"seconds on {result['threads']} threads", run["seconds_128"], most=SECONDS)


def _goal(
    run: Found, way: str, goal: str, found: float, *, most: float | None = None, least: float | None = None
) -> dict[str, Any]:
    met = found <= most if most is not None else found >= (least or 0.0)
    wanted = f"at most {most:g}" if most is not None else f"at least {least:g}"
    return {
        "model": run["model"], "steps": run["steps"], "way": way, "goal": goal, "found": round(found, 4),
        "wanted": wanted, "met": met,
    }  # fmt: skip


def _epe(run: Found, way: str) -> float:
    return run["all"]["ways"][way]["epe"]["mean"]


def _name(run: Found, several_models: bool) -> str:
    steps = f"{run['steps']} step{'' if run['steps'] == 1 else 's'}"
    return f"{run['model']}, {steps}" if several_models else steps


def _ways(result: Found, part: str, several_models: bool) -> Iterator[tuple[str, Found]]:
    for way in ("unguided", *GUIDED):
        for run in result["runs"]:
            yield f"{way}, {_name(run, several_models)}", run[part]["ways"][way]
    for model in result["models"]:
        run = next(run for run in result["runs"] if run["model"] == model)
        yield f"latents, {model}" if several_models else "latents", run[part]["latents"]
    yield from result["baselines"][part].items()


def _table(ways: list[tuple[str, Found]], columns: tuple[tuple[str, str, str], ...]) -> None:
    shown = [column for column in columns if any(column[0] in entry for _, entry in ways)]
    ratio = any(name == "epe" for name, _, _ in shown)
    print(f"  {'':34}" + "".join(f"{title:>11}" for _, title, _ in shown) + (f"{'of unguided':>13}" if ratio else ""))
    for label, entry in ways:
        cells = ""
        for name, _, form in shown:
            mean = entry[name]["mean"] if name in entry else None
            cells += f"{'-' if mean is None else format(mean, form):>11}"
        if ratio and "of_unguided" in entry:
            cells += f"{entry['of_unguided']['mean']:>13.3f}"
        print(f"  {label:34}{cells}")


def _against_warp(result: Found, several_models: bool) -> None:
    print("\nbeside warp, paired: new pixels | clips in which several things move")
    for run in result["runs"]:
        for way in GUIDED:
            entry = run["all"]["ways"][way]
            cells = [_difference(entry["minus_warp"], name) for name in ("psnr_new", "gms_new", "lpips_new")]
            cells += ["|"]
            cells += [_difference(entry["minus_warp_several"], name) for name in ("psnr_all", "gms_all", "lpips_all")]
            print(f"  {f'{way}, {_name(run, several_models)}':34}" + "  ".join(cell for cell in cells if cell))


def _against_first(result: Found, several_models: bool) -> None:
    first = result["runs"][0]
    print(f"\nbeside {_name(first, several_models)}, paired")
    for run in result["runs"][1:]:
        for way in ("unguided", *GUIDED):
            against = run["all"]["ways"][way]["minus_first"]
            cells = [_difference(against, name) for name in ("epe", "epe_trackable", "psnr_all", "gms_all")]
            print(f"  {f'{way}, {_name(run, several_models)}':34}" + "  ".join(cell for cell in cells if cell))


def _difference(entries: Found, name: str) -> str:
    found = entries.get(name)
    if found is None or found["mean"] is None:
        return ""
    digits = 2 if name.startswith(("psnr", "epe")) else 4
    between = "" if found["low"] is None else f" ({found['low']:+.{digits}f} to {found['high']:+.{digits}f})"
    return f"{name} {found['mean']:+.{digits}f}{between}"


def _anchors(result: Found, several_models: bool) -> None:
    if not any(result["anchor_floor"].values()):
        return
    print("\npinned points: drift px, share that strays less than half a pixel, EPE of the points that are moved")
    named = [(result["anchor_floor"], "")]
    named += [(run["anchors"], f", {_name(run, several_models)}") for run in result["runs"]]
    for anchors, end in named:
        for sort, ways in anchors.items():
            for way, found in ways.items():
                drift, stayed, moved = (found[name]["mean"] for name in ("drift", "stayed", "epe_moved"))
                # What is held moves in the true video, which is therefore no floor for what is moved beside it.
                cell = "-" if way == "floor" and sort == "held" else f"{moved:.2f}"
                label = f"{sort}, {way}{end}"
                print(f"  {label:34}{drift:8.2f}{stayed:8.2f}{cell:>8}   ({found['drift']['n']} clips)")
