"""One transaction: all of it, or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commits at the end of the block, and rolls back whatever ends it early; raises what did.

    The connection is one of `schema.open_store`, in autocommit mode.
    """
    # IMMEDIATE: what is read inside must still be true when it is written.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself where the disk is full or fails
            connection.execute("ROLLBACK")
        raise
