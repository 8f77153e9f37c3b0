"""Words, tables, progress bars and exit codes over the SDK."""
