"""Decisions without I/O, clock, asyncio or logging: values in, values out."""
