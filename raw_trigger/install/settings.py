"""What the hooks know of this repository and this machine, and how it is written into them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raw_trigger.dvc.outs import DVC_FOLDER, escaped, folders_above
from raw_trigger.errors import RawTriggerError
from raw_trigger.install.seen import pathspecs

_BEGIN = b"# settings:"
_END = b"# end of settings"


@dataclass(frozen=True, slots=True)
class ShimSettings:
    """Holds the values that are written into the installed hooks.

    Attributes:
        program: The absolute path of the program to start, and its first arguments.
        roots: The raw roots relative to the repository's top, with ``/``.
        config_files: The configuration files relative to the same.
        off: Names of hooks that do nothing of ours.
        options: Arguments that the program gets before its command.
    """

    program: tuple[str, ...]
    roots: tuple[str, ...]
    config_files: tuple[str, ...] = ()
    off: frozenset[str] = frozenset({"pre-push"})
    options: tuple[str, ...] = ()


def program() -> tuple[str, ...]:
    """Returns the command that starts this very installation of raw-trigger from anywhere.

    Raises:
        RawTriggerError: Python does not know where its own interpreter is.
    """
    if not sys.executable:
        raise RawTriggerError(
            "this Python does not say where its interpreter is",
            "install raw-trigger in a virtual environment",
        )
    folder = Path(sys.executable).parent
    called = Path(sys.argv[0]).absolute()
    # pipx and uv put only a link on PATH; the script itself is beside the interpreter.
    for script in (called, called.resolve(), folder / "raw-trigger"):
        if script.parent == folder and script.stem == "raw-trigger" and os.access(script, os.X_OK):
            return (str(script),)
    return (sys.executable, "-m", "raw_trigger")


def bake(template: bytes, settings: ShimSettings, names: Iterable[str]) -> bytes:
    """Returns ``hooks/raw-trigger.sh`` with these settings in place of its default ones.

    Args:
        names: The hooks that are installed.
    """
    before, rest = template.split(_BEGIN, 1)
    heading, rest = rest.split(b"\n", 1)
    after = rest.split(_END, 1)[1]
    values = os.fsencode(f"rt_hooks='{' '.join(names)}'\n{_block(settings)}")
    return before + _BEGIN + heading + b"\n" + values + _END + after


def _block(settings: ShimSettings) -> str:
    command = settings.program
    if Path(command[0]).is_absolute():
        there = " && ".join(f"[ -x {shlex.quote(path)} ]" for path in (command[0], *_interpreter(command[0])))
    else:
        there = f"command -v {shlex.quote(command[0])} >/dev/null"
    roots, config = pathspecs(settings.roots, settings.config_files)
    above = folders_above(settings.roots)
    uses = " || ".join(f"[ -d {shlex.quote(folder + DVC_FOLDER)} ]" for folder in above) or "false"
    globs = [f":(top,glob){escaped(folder)}{name}" for folder in above for name in ("*.dvc", "dvc.lock")]
    return (
        f"rt_off={shlex.quote(' '.join(sorted(settings.off)))}\n"
        f"rt_program={shlex.quote(command[0])}\n"
        f"rt_is_there() {{ {there}; }}\n"
        f'rt_exec() {{ exec {_words((*command, *settings.options))} "$@"; }}\n'
        "# shellcheck disable=SC2329  # rt_start runs it\n"
        f'rt_exec_found() {{ exec {_words(("raw-trigger", *settings.options))} "$@"; }}\n'
        f'rt_roots() {{ "$@" {_words(roots)}; }}\n'
        "# shellcheck disable=SC2329  # rt_roots runs it\n"
        f'rt_config() {{ "$@" {_words(config)}; }}\n'
        f"rt_uses_dvc() {{ {uses}; }}\n"
        f'rt_above() {{ "$@" {_words(folder or "." for folder in above)}; }}\n'
        f'rt_staged() {{ "$@" {_words(_staged(roots))}; }}\n'
        "# shellcheck disable=SC2329  # rt_staged runs it\n"
        f'rt_pointers() {{ "$@" {_words(globs)}; }}\n'
        f'rt_new() {{ "$@" {_words(_new(roots, config))}; }}\n'
        f'rt_configs() {{ "$@" {_words(_configs(config))}; }}\n'
    )


def _staged(roots: Sequence[str]) -> list[str]:
    return [":(top,glob)**" if root == "." else f":(top,literal){root}" for root in roots]


def _new(roots: Sequence[str], config: Sequence[str]) -> list[str]:
    """Returns pathspecs of configurations that a project unknown to these hooks could have."""
    known = [file for file in config if not any(root == "." or file.startswith(f"{root}/") for root in roots)]
    return [*_configs(()), *(f":(top,exclude,literal){file}" for file in known)]


def _configs(config: Sequence[str]) -> list[str]:
    """Returns pathspecs of all configurations, known or not."""
    names = ("raw-trigger.yaml", "raw-trigger.yml")
    named = [file for file in config if file.rpartition("/")[2] not in names]
    return [*(f":(top,glob)**/{name}" for name in names), *(f":(top,literal){file}" for file in named)]


def _words(words: Iterable[str]) -> str:
    return " ".join(map(shlex.quote, words))


def _interpreter(script: str) -> tuple[str, ...]:
    """Returns the interpreter that a script's first line names, if any: the script needs it to start."""
    try:
        with Path(script).open("rb") as file:
            first = file.readline(4096)
    except OSError:
        return ()
    named = first.removeprefix(b"#!").split()
    return (os.fsdecode(named[0]),) if first.startswith(b"#!/") and named else ()
