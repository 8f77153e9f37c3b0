"""The command line as a person has it: a home, and each command a process of its own."""

import json
import os
import subprocess
import sys


class Platform:
    """One INTRAMURAL_HOME, used through the command line alone, each command a process of its own."""

    def __init__(self, folder):
        self.folder, self.home = folder, folder / "home"
        kept = {name: text for name, text in os.environ.items() if not name.startswith("INTRAMURAL_")}
        self.environment = {**kept, "INTRAMURAL_HOME": str(self.home), "INTRAMURAL_WARM_IDLE_MINUTES": "2"}

    def call(self, *words, code=0, **changed):
        """Run one command; return what it printed."""
        command = [sys.executable, "-m", "intramural.cli.main", *map(str, words)]
        done = subprocess.run(
            command, env={**self.environment, **changed}, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def lines(self, *words, code=0):
        """Run one command with --json; return the documents it printed, one a line, and nothing beside."""
        done = self.call(*words, "--json", code=code)
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines()]

    def document(self, *words, code=0):
        """Run one command with --json; return its one document."""
        [document] = self.lines(*words, code=code)
        return document
