"""What is outside the walls, fetched or fed by the control plane."""
