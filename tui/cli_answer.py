"""What every call ends with: one answer, one exit code, no traceback, and JSON wherever it was asked for."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

FAILED, USAGE, NOT_WRITTEN = 1, 2, 6
TRACE = "GONOGO_TRACE"


def to_json(data: Any) -> str:
    """One line of JSON that every reader takes: no NaN, and nothing that the output cannot encode."""
    try:
        text = json.dumps(data, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:  # a NaN or an infinity, which JSON does not know
        text = json.dumps(_finite(data), ensure_ascii=False, default=str)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(text))
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def end(message: str, kind: str, code: int, as_json: bool) -> NoReturn:
    """Prints one sentence (as JSON on stdout where that was asked for) and ends with `code`."""
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more
        if as_json:
            error = {"kind": kind, "message": message, "exit_code": code}
            click.echo(to_json({"ok": False, "error": error}))
        else:
            click.echo(f"gonogo: {message}", err=True)
    sys.exit(code)


class AnsweringGroup(click.Group):
    """A group whose every ending is told in the form that the caller asked for."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """As click's, but errors of usage are JSON with --json, and the unexpected is one sentence."""
        words = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(words, standalone_mode=False, **extra)
        as_json = "--json" in words[: words.index("--") if "--" in words else None]
        if hasattr(sys.stdout, "reconfigure"):  # a name of bytes that are no UTF-8 is shown, too
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            code = super().main(words, standalone_mode=False, **extra)
            _flush()
        except click.UsageError as error:
            if not as_json:
                error.show()
                sys.exit(error.exit_code)
            end(error.format_message(), "UsageError", error.exit_code, True)
        except click.ClickException as error:
            end(error.format_message(), type(error).__name__, error.exit_code, as_json)
        except click.Abort:
            end("interrupted", "Abort", FAILED, as_json)
        except OSError as error:
            if os.environ.get(TRACE):
                raise
            if _folder_is_gone(error):
                gone = (
                    "the current folder was removed; cd to one that exists, or name one after -C."
                )
                end(gone, "NoFolder", USAGE, as_json)
            where = f"{error.filename}: " if error.filename else ""
            end(f"{where}{error.strerror or error}", "OSError", NOT_WRITTEN, as_json)
        except Exception as error:
            known = getattr(error, "exit_code", None)
            if isinstance(known, int):  # one of our own, from where no command caught it
                end(str(error), type(error).__name__, known, as_json)
            if os.environ.get(TRACE):
                raise
            if isinstance(error, ValueError) and "embedded null" in str(error):
                end(
                    "a file's name cannot have a NUL in it; name another one.",
                    "UsageError",
                    2,
                    as_json,
                )
            what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            end(f"unexpected {what} ({TRACE}=1 shows where)", "Unexpected", FAILED, as_json)
        sys.exit(code if isinstance(code, int) else 0)


def _folder_is_gone(error: OSError) -> bool:
    """True where an error that names no file comes from a working folder that no longer exists."""
    if not isinstance(error, FileNotFoundError) or error.filename is not None:
        return False
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _flush() -> None:
    """What could not be written is an error now, not a note at the interpreter's end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError, ValueError):
            os.dup2(null, sys.stdout.fileno())  # what is left in the buffer has to go somewhere
        os.close(null)
        if error.errno != errno.EPIPE:
            raise
