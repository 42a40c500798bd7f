"""The tests: unit, golden (numbers) and e2e (the program as a person starts it)."""
