"""What every test is run with."""

import signal

from hypothesis import HealthCheck, settings

# Whoever starts the tests in the background has them, and every command they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
