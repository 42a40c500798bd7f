"""How the bundled weights are made. Imports the other rooms; none imports it."""
