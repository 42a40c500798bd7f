"""Import and export of masks, one module a family of formats."""
