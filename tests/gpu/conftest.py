import os

from intramural.workloads.environment import REPEATABLE

os.environ.update(REPEATABLE)  # before the GPU is first used, as a run finds it
