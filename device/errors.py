"""The one family of errors that a person is meant to read: what happened, where, and what to do about it."""

from __future__ import annotations


class FallwatchError(Exception):
    """Something that must not go on; str() is one clear sentence. The command line prints it without a traceback.

    exit_code: 1 a finding or a failure, 2 wrong use (DESIGN section 6.1).
    """

    exit_code = 1


class UsageError(FallwatchError):
    """The command was called in a way it can't serve."""

    exit_code = 2


class MissingExtraError(FallwatchError):
    """A part of Fallwatch that this installation has not got."""

    exit_code = 2

    def __init__(self, extra: str, module: str | None) -> None:
        super().__init__(f"{module or 'a package'} is not installed; run: pip install 'fallwatch[{extra}]'")
