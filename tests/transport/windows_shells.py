"""cmd.exe and PowerShell as far as their documentation rules what a command line becomes.

No Windows machine runs these tests: the parsers follow the documented rules and raise where
a line would depend on more (`Undocumented`). Run as a program it is such a login shell:
``windows_shells.py cmd|powershell COMMAND``, with WSL as the only program it knows.

Rules: cmd.exe's from ``cmd /?`` (quotes, ^, %, &|<>()), the argument rules from "Parsing C
command-line arguments" (learn.microsoft.com), PowerShell's from about_Quoting_Rules,
about_Special_Characters and, for native commands, about_Parsing.
"""

from __future__ import annotations

import os
import shutil
import sys


class Undocumented(ValueError):
    """The line uses something whose result these rules do not settle."""


def split_arguments(line: str) -> list[str]:
    """argv of a Windows program for its command line: blanks, double quotes, backslashes."""
    arguments: list[str] = []
    current, inside, begun, index = "", False, False, 0
    while index < len(line):
        character = line[index]
        if character == "\\":
            end = index
            while end < len(line) and line[end] == "\\":
                end += 1
            count = end - index
            if end < len(line) and line[end] == '"':
                current += "\\" * (count // 2)
                if count % 2:
                    current += '"'
                    end += 1
            else:
                current += "\\" * count
            begun, index = True, end
            continue
        if character == '"':
            if inside and line[index + 1 : index + 2] == '"':
                raise Undocumented("two quotes inside quotes: runtimes differ")
            inside, begun = not inside, True
        elif character in " \t" and not inside:
            if begun:
                arguments.append(current)
            current, begun = "", False
        else:
            current, begun = current + character, True
        index += 1
    if inside:
        raise Undocumented("an open quote")
    return [*arguments, current] if begun else arguments


def through_cmd(command: str, environment: dict[str, str] | None = None) -> list[str]:
    """argv that ``cmd.exe /c "COMMAND"`` gives the one program of `command`."""
    line = _expand_percent(command, environment or {})
    if len(line) > 8191:
        raise Undocumented("cmd.exe takes no more than 8191 characters")
    result, inside, index = "", False, 0
    while index < len(line):
        character = line[index]
        if character == '"':
            inside = not inside
        elif not inside and character == "^":
            index += 1
            character = line[index : index + 1]
        elif not inside and character in "&|<>()\n":
            raise Undocumented(f"{character!r} outside quotes is an operator")
        elif character == "!":
            raise Undocumented("an exclamation mark depends on delayed expansion")
        result += character
        index += 1
    return split_arguments(result)


def _expand_percent(line: str, environment: dict[str, str]) -> str:
    parts = line.split("%")
    if len(parts) == 1:
        return line
    result = parts[0]
    for index in range(1, len(parts) - 1, 2):
        result += environment.get(parts[index], f"%{parts[index]}%") + parts[index + 1]
    return result if len(parts) % 2 else result + "%" + parts[-1]


def through_powershell(command: str) -> list[str]:
    """argv that Windows PowerShell 5.1 gives the one native program of `command`."""
    arguments: list[str] = []
    current, begun, index = "", False, 0
    while index < len(command):
        character = command[index]
        if character in "\"'":
            text, index = _quoted(command, index)
            current, begun = current + text, True
            continue
        if character in " \t":
            if begun:
                arguments.append(current)
            current, begun = "", False
        elif character in "$`&|;<>(){}@#,\n":
            raise Undocumented(f"{character!r} outside quotes means something")
        else:
            current, begun = current + character, True
        index += 1
    if begun:
        arguments.append(current)
    # 5.1 puts quotes around an argument with blanks and escapes nothing inside it.
    if any('"' in argument for argument in arguments):
        raise Undocumented("a double quote inside an argument is lost")
    quoted = [f'"{a}"' if any(c in a for c in " \t") else a for a in arguments]
    return split_arguments(" ".join(quoted))


def _quoted(command: str, index: int) -> tuple[str, int]:
    quote, text = command[index], ""
    index += 1
    while index < len(command):
        character = command[index]
        if character == quote:
            if command[index + 1 : index + 2] == quote:
                text += quote
                index += 2
                continue
            return text, index + 1
        if quote == '"' and character in "$`":
            raise Undocumented(f"{character!r} is expanded in double quotes")
        text += character
        index += 1
    raise Undocumented("an open quote")


def main(shell: str, command: str) -> int:
    """Be the login shell: run what `wsl.exe -e` names, refuse everything else as Windows does."""
    try:
        argv = through_cmd(command) if shell == "cmd" else through_powershell(command)
    except Undocumented:
        argv = command.split(None, 1)[:1]  # both read the program's name before all else
    known = argv[:2] == ["wsl.exe", "-e"] and os.environ.get("FAKE_WSL") != "missing"
    if known:
        if os.environ.get("FAKE_WSL") == "empty":
            text = "Windows Subsystem for Linux has no installed distributions.\r\n"
            sys.stdout.buffer.write(text.encode("utf-16-le"))
            return 1
        program = shutil.which(argv[2])
        if program is not None:
            os.execv(program, argv[2:])  # noqa: S606
        print(f"<3>WSL (9) ERROR: CreateProcessCommon: execvpe({argv[2]}) failed", file=sys.stderr)
        return 1
    if shell == "cmd":
        print(
            f"'{argv[0]}' is not recognized as an internal or external command,\r\n"
            "operable program or batch file.\r",
            file=sys.stderr,
        )
    else:
        print(
            f"{argv[0]} : The term '{argv[0]}' is not recognized as the name of a cmdlet, function, "
            "script file, or operable program.\r\n    + FullyQualifiedErrorId : "
            "CommandNotFoundException\r",
            file=sys.stderr,
        )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
