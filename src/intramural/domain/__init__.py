"""Nouns and laws: frozen values and their rules. No clock, disk, network, SQL, torch or environment."""
