"""intramural: fine-tune language models on private data, within your own walls."""

__version__ = "0.1.0"
