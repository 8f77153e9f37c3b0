"""A workload whose import starts a thread, which a parent that forks must refuse."""

import threading

_forever = threading.Event()
threading.Thread(target=_forever.wait, daemon=True).start()


def main(_):
    return 0
