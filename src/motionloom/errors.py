"""The errors motionloom raises on purpose.

Each one says what went wrong, in which file or argument, what was found, what was expected and how to go on.
The command line prints the message alone; a Python caller catches :class:`MotionloomError` for all of them.
"""

from __future__ import annotations


class MotionloomError(Exception):
    """Anything motionloom refuses or cannot do, worded for the person who asked."""


class InputError(MotionloomError, ValueError):
    """An argument or a value is not usable: wrong shape, range, unit, or combination."""


class FileFormatError(MotionloomError, ValueError):
    """A file is not what it should be: unknown, truncated, hostile, or of an unsupported version."""


class AmbiguousUnitsError(FileFormatError):
    """A file is readable, but its units cannot be known from its contents; a flag has to say them."""


class CheckpointError(MotionloomError, ValueError):
    """Weights do not fit the model: missing keys, unexpected keys, or another architecture."""


class MissingDependencyError(MotionloomError, ImportError):
    """An optional package is needed for what was asked; the message names the extra to install."""


class Cancelled(MotionloomError):
    """A run was stopped on request; nothing half-written is left behind."""
