"""What is on the screen while nothing is open: where to begin, and something on its way."""
