"""Actions: their table, their keys, and what they do."""
