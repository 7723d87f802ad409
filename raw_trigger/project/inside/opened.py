"""Tells which files in some folders are opened, also by libraries, because the kernel says so.

Linux only. fanotify says of each opening whether it was this very process (man 7 fanotify: without privileges
since 5.13, and then it does not identify other processes). Where it is not allowed, as in many containers,
there is inotify, which never identifies the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

_READ_BYTES = 1 << 16

_AT_FDCWD = -100
_FAN_CLOSE_WRITE = 0x8
_FAN_OPEN = 0x20
_FAN_Q_OVERFLOW = 0x4000
_FAN_EVENT_ON_CHILD = 0x08000000
_FAN_ONDIR = 0x40000000
_FAN_CLOEXEC, _FAN_NONBLOCK, _FAN_REPORT_DFID_NAME = 0x1, 0x2, 0xC00
_FAN_MARK_ADD = 0x1
_FAN_EVENT = struct.Struct("=IBBHQii")  # length, version, -, length of this, mask, descriptor, process
_FAN_NAME = struct.Struct("=BBHiiIi")  # kind, -, length, file system (two), size and type of the handle
_HANDLE = struct.Struct("=Ii")
_MAX_HANDLE = 128

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)

_IN_CLOSE_WRITE = 0x8
_IN_OPEN = 0x20
_IN_Q_OVERFLOW = 0x4000
_IN_ISDIR = 0x40000000
_IN_EVENT = struct.Struct("=iIII")  # watch, mask, cookie, length of the name


class Opening(NamedTuple):
    """Holds one file that was opened, or with ``listed`` one folder.

    ``own`` says whether this process opened it; None if unknown.
    """

    path: str
    own: bool | None
    listed: bool = False
    written: bool = False


class OverflowedError(Exception):
    """Says that there were more events than the kernel keeps."""


class Event(NamedTuple):
    """Holds one event of the kernel: its length in bytes, and the watched folder, None if unknown.

    ``name`` is empty if the event is about the folder itself; ``lost`` says that events are missing.
    """

    length: int
    folder: str | None
    name: bytes
    own: bool | None
    listed: bool = False
    written: bool = False
    lost: bool = False


class Kernel:
    """Reads events from a descriptor: the part that fanotify and inotify share."""

    descriptor: int

    def add(self, folder: str) -> None:
        """Watches what is in the folder, not below."""
        raise NotImplementedError

    def _event(self, data: bytes, at: int) -> Event:
        raise NotImplementedError

    def take(self) -> Iterator[Opening]:
        """Yields everything since the last call; never waits.

        Raises:
            OverflowedError: some events are lost; raised after all the others.
        """
        lost = False
        for data in _readings(self.descriptor):
            at = 0
            while at < len(data):
                event = self._event(data, at)
                at += event.length
                lost = lost or event.lost
                if event.folder is not None and (not event.name) == event.listed:
                    name = os.fsdecode(event.name)
                    path = event.folder if event.listed else os.path.join(event.folder, name)  # noqa: PTH118
                    yield Opening(path, event.own, event.listed, event.written)
        if lost:
            raise OverflowedError


class Fanotify(Kernel):
    """Watches folders with fanotify; raises OSError if the kernel lacks it or does not allow it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            flags = _FAN_CLOEXEC | _FAN_NONBLOCK | _FAN_REPORT_DFID_NAME
            self.descriptor = _checked(self._libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC))
        except AttributeError as error:
            raise OSError("no fanotify") from error
        kinds: Any = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
        self._libc.fanotify_mark.argtypes = kinds  # the mask is wider than ctypes' default
        self._folders: dict[Any, str] = {}

    def add(self, folder: str) -> None:
        """Watches what is in the folder, not below."""
        name = os.fsencode(folder)
        buffer = ctypes.create_string_buffer(_HANDLE.size + _MAX_HANDLE)
        _HANDLE.pack_into(buffer, 0, _MAX_HANDLE, 0)
        mount = ctypes.c_int()
        _checked(self._libc.name_to_handle_at(_AT_FDCWD, name, buffer, ctypes.byref(mount), 0))
        size, kind = _HANDLE.unpack_from(buffer)
        mask = _FAN_OPEN | _FAN_CLOSE_WRITE | _FAN_EVENT_ON_CHILD | _FAN_ONDIR
        _checked(self._libc.fanotify_mark(self.descriptor, _FAN_MARK_ADD, mask, _AT_FDCWD, name))
        self._folders[kind, buffer.raw[_HANDLE.size : _HANDLE.size + size]] = folder

    def _event(self, data: bytes, at: int) -> Event:
        length, _, _, begin, mask, _, process = _FAN_EVENT.unpack_from(data, at)
        if mask & _FAN_Q_OVERFLOW:
            return Event(length, None, b"", None, lost=True)
        info = at + begin
        _, _, size, _, _, bytes_, kind = _FAN_NAME.unpack_from(data, info)
        end = info + _FAN_NAME.size + bytes_
        folder = self._folders.get((kind, data[info + _FAN_NAME.size : end]))
        name = data[end : info + size].split(b"\0")[0]
        listed, written = bool(mask & _FAN_ONDIR), bool(mask & _FAN_CLOSE_WRITE)
        own = process == os.getpid()
        return Event(length, folder, b"" if name == b"." else name, own, listed=listed, written=written)


class Inotify(Kernel):
    """Watches folders with inotify; raises OSError if the kernel lacks it or allows no more of it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.descriptor = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except AttributeError as error:
            raise OSError("no inotify") from error
        self._folders: dict[int, str] = {}

    def add(self, folder: str) -> None:
        """Watches what is in the folder, not below."""
        mask = _IN_OPEN | _IN_CLOSE_WRITE
        number = _checked(self._libc.inotify_add_watch(self.descriptor, os.fsencode(folder), mask))
        self._folders[number] = folder

    def _event(self, data: bytes, at: int) -> Event:
        number, mask, _, length = _IN_EVENT.unpack_from(data, at)
        length += _IN_EVENT.size
        name = data[at + _IN_EVENT.size : at + length].split(b"\0")[0]
        listed, written = bool(mask & _IN_ISDIR), bool(mask & _IN_CLOSE_WRITE)
        lost = bool(mask & _IN_Q_OVERFLOW)
        return Event(length, self._folders.get(number), name, None, listed=listed, written=written, lost=lost)


def watch(
    folders: list[str], kinds: tuple[type[Kernel], ...] = (Fanotify, Inotify)
) -> tuple[Kernel | None, bool]:
    """Returns a watcher of these folders, None if nothing works here, and whether it watches all of them."""
    for kind in kinds:
        try:
            made = kind()
        except OSError:
            continue
        for number, folder in enumerate(folders):
            try:
                made.add(folder)
            except OSError as error:
                if error.errno in _NOT_THERE:
                    continue
                if number:
                    return made, False  # the user's limit of watches is reached
                os.close(made.descriptor)
                break
        else:
            return made, True
    return None, False


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _readings(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            return
        yield data
