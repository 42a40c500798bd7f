"""Windows of their own, for files and preferences. Nothing that is needed while working is here."""
