"""The leak test: plants canaries, uses the platform as a person would, and searches every byte that this left."""
