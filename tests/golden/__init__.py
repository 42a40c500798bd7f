"""Numbers recorded once, and whether the engine still gives them."""
