"""How the bundled click network is made: pictures, simulated clicks, loop."""
