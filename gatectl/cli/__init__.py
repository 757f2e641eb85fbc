"""The commands: one small module per family, imported when it is called."""
