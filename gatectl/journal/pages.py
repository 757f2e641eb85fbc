"""The rows that a damaged SQLite file still has, page by page, without its schema, its roots and its indexes.

A table's rows are in the leaves of its tree, each complete in itself: a leaf that can be read gives its rows
even if the pages that lead to it are damaged. The format is https://www.sqlite.org/fileformat.html; bytes
that do not fit it are no row.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

Value = int | float | str | bytes | None

TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR = 0x0D, 0x0A, 0x02

PAYLOAD_MAX = 1 << 20
"""The longest plausible row: a longer one has a damaged length."""

_PAGE_SIZES = {1 << power for power in range(9, 17)}
_USUAL_PAGE_SIZE = 4096
_MAGIC = b"SQLite format 3\0"
_LOG_MAGICS = {0x377F0682: "<", 0x377F0683: ">"}
"""The byte order of the words over which a log's checksums are computed."""
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Serial type and bytes."""


class LeafRecord(NamedTuple):
    """A record of a leaf. `rowid` is None in an index, and in a table WITHOUT ROWID."""

    rowid: int | None
    values: tuple[Value, ...]


class Pages:
    """A database file and its log, opened to be read as they are."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._log: int | None = None
        self._frames: dict[int, int] = {}
        """Page → the place in the log of its last committed content."""
        try:
            self.page_size = self._size_in_header() or _USUAL_PAGE_SIZE
            self._open_log(Path(f"{path}-wal"))
            in_file = -(-os.fstat(self._file).st_size // self.page_size)
            self.count = max([in_file, *self._frames])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)
        if self._log is not None:
            os.close(self._log)

    def rows(self, number: int) -> Iterator[LeafRecord]:
        """The rows of a page, counted from 1, the last first; none where it is no leaf, or cannot be read."""
        page = self._page(number)
        if page is None or len(page) < self.page_size:
            return
        base = 100 if number == 1 else 0
        kind = page[base]
        if kind not in (TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR):
            return
        count = int.from_bytes(page[base + 3 : base + 5], "big")
        begin = base + (12 if kind == INDEX_INTERIOR else 8)
        if count > (self.page_size - begin) // 4:
            return
        for at in reversed(struct.unpack(f">{count}H", page[begin : begin + 2 * count])):
            with contextlib.suppress(ValueError, IndexError, struct.error):
                yield self._row(page, at, kind)

    def _row(self, page: bytes, at: int, kind: int) -> LeafRecord:
        if kind == INDEX_INTERIOR:
            at += 4  # the page below
        length, at = _varint(page, at)
        rowid = None
        if kind == TABLE_LEAF:
            rowid, at = _varint(page, at)
            rowid -= (rowid >> 63) << 64
        return LeafRecord(rowid, _record(self._payload(page, at, length, kind)))

    def _payload(self, page: bytes, at: int, length: int, kind: int) -> bytes:
        """The content of the cell, and of the chain of pages in which it continues."""
        if not 0 < length <= PAYLOAD_MAX:
            raise ValueError("a damaged length")
        usable = self.page_size
        most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        here = length
        if length > most:
            least = (usable - 12) * 32 // 255 - 23
            here = least + (length - least) % (usable - 4)
            here = here if here <= most else least
        parts = [_slice(page, at, here)]
        missing = length - here
        number = int.from_bytes(_slice(page, at + here, 4), "big") if missing else 0
        while missing:
            more = self._page(number) or b""
            size = min(missing, usable - 4)
            parts.append(_slice(more, 4, size))
            missing -= size
            number = int.from_bytes(more[:4], "big")
        return b"".join(parts)

    def _page(self, number: int) -> bytes | None:
        """None if the disk cannot read it any more."""
        if number < 1:
            return None
        with contextlib.suppress(OSError):
            if self._log is not None and number in self._frames:
                return os.pread(self._log, self.page_size, self._frames[number])
            return os.pread(self._file, self.page_size, (number - 1) * self.page_size)
        return None

    def _size_in_header(self) -> int | None:
        with contextlib.suppress(OSError):
            header = os.pread(self._file, 100, 0)
            size = int.from_bytes(header[16:18], "big")
            size = 65536 if size == 1 else size
            if header.startswith(_MAGIC) and size in _PAGE_SIZES:
                return size
        return None

    def _open_log(self, path: Path) -> None:
        """Look up what the log has committed, up to its first frame that is not whole."""
        with contextlib.suppress(FileNotFoundError):
            self._log = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if self._log is None:
            return
        with contextlib.suppress(OSError, struct.error):
            header = os.pread(self._log, 32, 0)
            magic, _, size, _, *salts = struct.unpack(">6I", header[:24])
            order = _LOG_MAGICS.get(magic)
            if order is None or size not in _PAGE_SIZES:
                return
            self.page_size = size
            sums = _checksum((0, 0), header[:24], order)
            if sums == struct.unpack(">2I", header[24:]):
                self._read_frames(self._log, order, tuple(salts), sums)

    def _read_frames(self, log: int, order: str, salts: tuple[int, ...], sums: tuple[int, int]) -> None:
        uncommitted: dict[int, int] = {}
        at = 32
        while True:
            frame = os.pread(log, 24 + self.page_size, at)
            if len(frame) < 24 + self.page_size:
                return
            number, pages_at_commit, *rest = struct.unpack(">6I", frame[:24])
            sums = _checksum(_checksum(sums, frame[:8], order), frame[24:], order)
            if tuple(rest[:2]) != salts or tuple(rest[2:]) != sums:
                return
            uncommitted[number] = at + 24
            if pages_at_commit:
                self._frames.update(uncommitted)
                uncommitted.clear()
            at += len(frame)


def each_page(path: Path) -> Iterator[Iterator[LeafRecord]]:
    """The rows of all pages, a page at a time, in the order of the file. Raises OSError."""
    with Pages(path) as pages:
        for number in range(1, pages.count + 1):
            yield pages.rows(number)
            time.sleep(0)  # release the interpreter to the event loop: a scan may be under way


def _slice(data: bytes, at: int, size: int) -> bytes:
    part = data[at : at + size]
    if at < 0 or len(part) != size:
        raise ValueError("it ends early")
    return part


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The value, and where the next thing begins."""
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _record(payload: bytes) -> tuple[Value, ...]:
    header, at = _varint(payload, 0)
    types = []
    while at < header:
        kind, at = _varint(payload, at)
        types.append(kind)
    if at != header:
        raise ValueError("a header that ends early")
    values = []
    for kind in types:
        size = _size(kind)
        values.append(_value(kind, _slice(payload, at, size)))
        at += size
    if at != len(payload):
        raise ValueError("a record of another length")
    return tuple(values)


def _size(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    if kind in (10, 11):
        raise ValueError("a type that no file has")
    return 8 if kind == 7 else _INTEGERS.get(kind, 0)


def _value(kind: int, data: bytes) -> Value:
    if kind == 0:
        return None
    if kind == 7:
        number: float = struct.unpack(">d", data)[0]
        return number
    if kind in (8, 9):
        return kind - 8
    if kind < 12:
        return int.from_bytes(data, "big", signed=True)
    return data if kind % 2 == 0 else data.decode("utf-8")


def _checksum(sums: tuple[int, int], data: bytes, order: str) -> tuple[int, int]:
    """SQLite's own, over pairs of 32-bit words."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = first + one + second & 0xFFFFFFFF
        second = second + other + first & 0xFFFFFFFF
    return first, second
