"""The commands: one small module a family, imported when it is called."""
