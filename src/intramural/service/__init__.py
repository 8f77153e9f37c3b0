"""Verbs: what a member or the system can do, each as one guarded, recorded function."""
