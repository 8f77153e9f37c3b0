"""Moments that a test takes at random; which ones is told when it fails, and `TEST_SEED` takes the same again."""

import os
import random


def seeded():
    """Return a source of chance, and print its seed: of a test that fails, that is shown."""
    seed = int(os.environ.get("TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"TEST_SEED={seed}")
    return random.Random(seed)  # noqa: S311 - moments of a test
