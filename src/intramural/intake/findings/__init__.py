"""What is inside rows: personal data, secrets, denied terms, likenesses; and what is done about it. Never what it says."""
