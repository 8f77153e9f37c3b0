"""Records of jobs, ours or imported, to the interview's numbers."""
