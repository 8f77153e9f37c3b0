"""Files of any accepted format become examples: checked in a stream, normalised, split, counted, tokenised."""
