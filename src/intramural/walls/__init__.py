"""
How a process is confined: namespaces, mounts, system-call filter, limits, the egress proxy and the receipt.

`walls.launch` starts a process and `walls.level` tells how firmly this machine confines
one. Each process has a supervisor, a program of its own that starts in milliseconds:
what it imports (`supervisor` and below) knows the standard library only.
"""
