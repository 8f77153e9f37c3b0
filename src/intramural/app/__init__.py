"""The composition root: puts the parts together, in process or as a server's process."""
