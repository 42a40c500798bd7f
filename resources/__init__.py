"""Data that ships with the program, by path."""
