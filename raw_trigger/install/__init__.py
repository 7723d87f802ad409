"""Installs raw-trigger where git, or the pre-commit framework, calls it, and uninstalls it again.

The framework's part is :mod:`raw_trigger.install.framework`: it imports YAML, which hooks do without.
"""

from __future__ import annotations

from raw_trigger.install.native import (
    HOOKS,
    Installed,
    Written,
    hooks_folder,
    install_hooks,
    installed,
    missing,
    missing_warning,
    rebake,
    shared_warning,
    uninstall_hooks,
)
from raw_trigger.install.seen import (
    forget_seen,
    is_touched,
    read_seen,
    seen_command,
    seen_now,
    write_seen,
)
from raw_trigger.install.settings import ShimSettings, program

__all__ = [
    "HOOKS",
    "Installed",
    "ShimSettings",
    "Written",
    "forget_seen",
    "hooks_folder",
    "install_hooks",
    "installed",
    "is_touched",
    "missing",
    "missing_warning",
    "program",
    "read_seen",
    "rebake",
    "seen_command",
    "seen_now",
    "shared_warning",
    "uninstall_hooks",
    "write_seen",
]
