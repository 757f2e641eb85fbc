"""The settings: the model, and the reader that collects every problem with its line."""
