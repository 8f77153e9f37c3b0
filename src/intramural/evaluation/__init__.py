"""Suites, scorers, statistics, baselines and comparison: figures from answers, however these were made."""
