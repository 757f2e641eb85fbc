"""Codes out of bytes and key events: framing, key maps, and the detection of a reader's form."""
