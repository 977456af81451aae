"""The command line. Commands only: what they do lives in the rooms below, and is imported when a command runs."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer

from motionloom.cli import bench, bench_report, bench_run, demo, evaluate, generate, models, studio, tracks, train
from motionloom.errors import (
    Cancelled,
    CheckpointError,
    FileFormatError,
    InputError,
    MotionloomError,
)
from motionloom.version import __version__

FAILED, BAD_INPUT, STOPPED = 1, 2, 130

app = typer.Typer(
    name="motionloom",
    help="Draw how things should move on a still image; get a video that moves that way.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"motionloom {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


app.command("generate")(generate.generate)
app.command("preview")(generate.preview)
app.command("evaluate")(evaluate.evaluate)
bench.app.command("run")(bench_run.run)
bench.app.command("report")(bench_report.report)
app.add_typer(bench.app, name="bench", help="Benchmarks: make one, let models run over it, compare them.")
app.add_typer(tracks.app, name="tracks", help="Look at, convert, draw and extract motion files.")
app.add_typer(models.app, name="models", help="What models exist, what they need, what is on this disk.")
app.add_typer(train.app, name="train", help="Train a model.")
app.command("studio")(studio.studio)
app.command("demo")(demo.demo)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 0 fine, 1 failed, 2 bad input, 130 stopped.

    MOTIONLOOM_DEBUG=1 in the environment shows tracebacks.
    """
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """As `main`, but return the exit code."""
    debug = os.environ.get("MOTIONLOOM_DEBUG", "") not in ("", "0")
    warnings.showwarning = _show_warning
    if not debug:
        # Advice of libraries about packages that nothing here needs.
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # A polite kill ends like Ctrl-C, so that temporary files are removed.
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(
            args=list(arguments) if arguments is not None else None, prog_name="motionloom", standalone_mode=False
        )
        # typer turns Ctrl-C into this exit code itself, and says nothing.
        return _stopped() if code == STOPPED else code if isinstance(code, int) else 0
    except (KeyboardInterrupt, Cancelled, typer.Abort):
        return _stopped()
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # pyright: ignore[reportAttributeAccessIssue]
            return BAD_INPUT
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "motionloom"
        return _fail(f"{error.format_message()} (see {command} --help)", BAD_INPUT)
    except CheckpointError as error:
        if debug:
            raise
        # What is said of files may be a list of them.
        return _fail(str(error).splitlines(), FAILED)
    except (InputError, FileFormatError) as error:
        if debug:
            raise
        return _fail(str(error), BAD_INPUT)
    except MotionloomError as error:
        if debug:
            raise
        return _fail(str(error), FAILED)
    except BrokenPipeError:
        # The reader of our output (head, less) has left; nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.filename is not None:
            # Of a copy or a rename the target is what could not be written.
            return _fail(f"{error.filename2 or error.filename}: {error.strerror}", FAILED)
        return _fail(f"{type(error).__name__}: {error} (MOTIONLOOM_DEBUG=1 shows where)", FAILED)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _stopped() -> int:
    return _fail("stopped; nothing half-written is left behind", STOPPED)


def _fail(message: str | list[str], code: int) -> int:
    text = " ".join(message.split()) if isinstance(message, str) else "\n".join(message)
    print(f"motionloom: {text}", file=sys.stderr)
    return code


def _show_warning(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    # Ours are for the person at the terminal; those of libraries are for their developers.
    if category is UserWarning or os.environ.get("MOTIONLOOM_DEBUG"):
        print("motionloom: " + " ".join(str(message).split()), file=sys.stderr)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
