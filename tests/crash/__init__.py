"""Real kills, and then a comparison with an undisturbed run."""
