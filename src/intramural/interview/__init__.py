"""The discovery interview: which question comes next, how an answer is checked, what the one page says."""
