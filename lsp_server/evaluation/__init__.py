"""How good and how fast suggestions are on somebody's own code. Knows nothing of the terminal."""
