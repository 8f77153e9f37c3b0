"""What the verbs' tests put in the place of a clock, a machine and a model's libraries."""

from datetime import timedelta

from factories import NOON, a_model


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)


class NoProcesses:
    """A machine on which no run has a process."""

    def kill(self, run_folder):
        return False

    def checkpoint(self, run_folder):
        return False


class FolderBuilder:
    """Describes a folder without loading it; writes the files it was made with for every other source."""

    def __init__(self, files=None, error=None):
        self.files, self.error, self.seen = files or {}, error, []

    def build(self, source, target, on_progress):
        self.seen.append(target)
        on_progress(1, 2, "building")
        for name, body in self.files.items():
            (target / name).write_bytes(body)
        if self.error is not None:
            raise self.error
        fields = ("source", "architecture", "parameters", "context_tokens", "weights_dtype", "licence", "chat_template")
        return {each: getattr(a_model(), each) for each in fields}
