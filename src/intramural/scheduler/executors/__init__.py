"""The executors: where a run's process lives."""
