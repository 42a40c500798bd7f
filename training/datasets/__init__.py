"""The published recipe's data, for people who have it: pictures with masks, and real videos."""
