"""Makes environments for child processes: without git's variables of *this* repository, and our token."""

from __future__ import annotations

from collections.abc import Mapping

LOCAL_GIT_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""The list of ``git rev-parse --local-env-vars``, and the quarantine of a push being received."""

_NUMBERED = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
TOKEN = "RAW_TRIGGER_TOKEN"
_INTERPRETER = frozenset({"PYTHONHOME", "__PYVENV_LAUNCHER__"})
"""These tie a child to the interpreter that runs us; the user's PYTHONPATH stays."""


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without variables of one repository, of our own interpreter, or of ours."""
    own = {*_INTERPRETER, TOKEN}
    return {name: value for name, value in without_git(environ).items() if name not in own}


def without_git(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without variables of one repository."""
    return {
        name: value
        for name, value in environ.items()
        if name not in LOCAL_GIT_VARIABLES and not name.startswith(_NUMBERED)
    }
