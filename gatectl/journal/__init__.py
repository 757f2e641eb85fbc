"""The durable record: the store, its reader, the enrolled cards."""
