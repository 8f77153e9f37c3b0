"""What every test is run with."""

import signal

# Whoever starts the tests in the background has them, and every command they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
