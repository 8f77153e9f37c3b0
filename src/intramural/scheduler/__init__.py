"""The scheduler: which job next, on which executor, and what happened to it."""
