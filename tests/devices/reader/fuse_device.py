"""A device file whose every system call the test answers, or leaves unanswered: a file system in user space.

To the kernel the file is no device, but open, ioctl, poll and read go to the test as those of a device go to
its driver. A call that is not answered really hangs in the kernel.

Source: the kernel's Documentation/filesystems/fuse/ and include/uapi/linux/fuse.h, version 7.31.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import threading
from enum import IntEnum
from pathlib import Path

import pytest
from limits import NET_S

_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_FORCE, _MNT_DETACH = 1, 2

_IN = struct.Struct("=IIQQIIIHH")
_OUT = struct.Struct("=IiQ")
_ATTRIBUTES = struct.Struct("=QQQQQQIIIIIIIIII")
_IOCTL_IN = struct.Struct("=QIIQII")
_DIRECT_IO, _NONSEEKABLE = 1, 4
_NOTIFY_POLL = 1
_POLLIN = 1


class _Op(IntEnum):
    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    OPEN = 14
    READ = 15
    RELEASE = 18
    FLUSH = 25
    INIT = 26
    INTERRUPT = 36
    IOCTL = 39
    POLL = 40
    BATCH_FORGET = 42


_SILENT = {_Op.FORGET, _Op.BATCH_FORGET}


class FuseDevice:
    """One device file below `folder`, a context manager. Mounting it takes root.

    `ioctls` are the answers by request number: bytes, or an errno. `hangs` are the calls that are not
    answered until `release`: `open`, `close`, or an ioctl's number.
    """

    def __init__(self, folder: Path, name: str = "device") -> None:
        self.path = folder / name
        self.ioctls: dict[int, bytes | int] = {}
        self.hangs: set[str | int] = set()
        self.asked: list[str | int] = []
        """The calls so far."""
        self._folder = folder
        self._input = b""
        self._unplugged = False
        self._poll_handle: int | None = None
        self._held: list[tuple[str | int, int, int, bytes]] = []
        self._changed = threading.Condition()

    def __enter__(self):
        self._folder.mkdir(exist_ok=True)
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        if _LIBC.mount(b"gatectl", os.fsencode(self._folder), b"fuse", 0, options.encode()):
            os.close(self._fd)
            raise OSError(ctypes.get_errno(), "mount")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        _LIBC.umount2(os.fsencode(self._folder), _MNT_FORCE | _MNT_DETACH)
        self._thread.join(NET_S)
        os.close(self._fd)

    def until_asked(self, call: str | int, times: int = 1) -> None:
        """Returns when this was called so often, answered or not."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.asked.count(call) >= times, NET_S), self.asked

    def release(self, number: int = 0) -> None:
        """Answers what hangs: with this errno, or as it should be."""
        with self._changed:
            self.hangs.clear()
            held, self._held = self._held, []
        for _, opcode, unique, body in held:
            self._reply(unique, *((number, b"") if number else self._answer(opcode, body)))

    def send(self, data: bytes) -> None:
        """Input for the processes that poll and read."""
        with self._changed:
            self._input += data
        self._wake()

    def unplug(self) -> None:
        """From now on a read fails as that of a device that is gone."""
        with self._changed:
            self._unplugged = True
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            handle, self._poll_handle = self._poll_handle, None
        if handle is not None:
            body = struct.pack("=Q", handle)
            os.write(self._fd, _OUT.pack(_OUT.size + len(body), _NOTIFY_POLL, 0) + body)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # ENODEV: unmounted
            while True:
                request = os.read(self._fd, 1 << 17)
                _, opcode, unique, *_ = _IN.unpack_from(request)
                body = request[_IN.size :]
                if opcode == _Op.INTERRUPT:
                    self._interrupt(struct.unpack_from("=Q", body)[0])
                    continue
                if opcode in _SILENT or self._is_held(opcode, unique, body):
                    continue
                self._reply(unique, *self._answer(opcode, body))

    def _interrupt(self, unique: int) -> None:
        """The caller is being killed: lets it go, as the wait of most drivers does."""
        with self._changed:
            mine = [one for one in self._held if one[2] == unique]
            self._held = [one for one in self._held if one[2] != unique]
        for _ in mine:
            self._reply(unique, errno.EINTR, b"")

    def _is_held(self, opcode: int, unique: int, body: bytes) -> bool:
        call: str | int
        if opcode == _Op.OPEN:
            call = "open"
        elif opcode == _Op.IOCTL:
            call = _IOCTL_IN.unpack_from(body)[2]
        elif opcode == _Op.RELEASE:
            call = "close"
        else:
            return False
        with self._changed:
            held = call in self.hangs
            if held:
                self._held.append((call, opcode, unique, body))
            self.asked.append(call)
            self._changed.notify_all()
        return held

    def _reply(self, unique: int, number: int, body: bytes) -> None:
        with contextlib.suppress(OSError):  # the caller was killed meanwhile
            os.write(self._fd, _OUT.pack(_OUT.size + len(body), -number, unique) + body)

    def _answer(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        match opcode:
            case _Op.INIT:
                return 0, struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 8, 8, 4096, 1, 1, 0, 0)
            case _Op.LOOKUP:
                if body.rstrip(b"\0") != os.fsencode(self.path.name):
                    return errno.ENOENT, b""
                return 0, struct.pack("=QQQQII", 2, 0, 60, 60, 0, 0) + _attributes(2, stat.S_IFREG | 0o666)
            case _Op.GETATTR:
                # The only other node is the folder.
                return 0, struct.pack("=QII", 60, 0, 0) + _attributes(1, stat.S_IFDIR | 0o755)
            case _Op.OPEN:
                return 0, struct.pack("=QII", 1, _DIRECT_IO | _NONSEEKABLE, 0)
            case _Op.READ:
                return self._read(struct.unpack_from("=I", body, 16)[0])
            case _Op.IOCTL:
                return self._ioctl(_IOCTL_IN.unpack_from(body)[2])
            case _Op.POLL:
                return self._poll(struct.unpack_from("=Q", body, 8)[0])
            case _Op.RELEASE | _Op.FLUSH:
                return 0, b""
        return errno.ENOSYS, b""

    def _read(self, size: int) -> tuple[int, bytes]:
        with self._changed:
            if self._unplugged:
                return errno.ENODEV, b""
            data, self._input = self._input[:size], self._input[size:]
        return (0, data) if data else (errno.EAGAIN, b"")

    def _ioctl(self, number: int) -> tuple[int, bytes]:
        answer = self.ioctls.get(number, errno.ENOTTY)
        if isinstance(answer, int):
            return answer, b""
        return 0, struct.pack("=iIII", 0, 0, 0, 0) + answer

    def _poll(self, handle: int) -> tuple[int, bytes]:
        with self._changed:
            self._poll_handle = handle
            return 0, struct.pack("=II", _POLLIN if self._input or self._unplugged else 0, 0)


def _attributes(number: int, mode: int) -> bytes:
    return _ATTRIBUTES.pack(number, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _can_mount() -> bool:
    return os.geteuid() == 0 and os.access("/dev/fuse", os.W_OK)


needs_fuse = pytest.mark.skipif(not _can_mount(), reason="only root may mount a file system of its own")
