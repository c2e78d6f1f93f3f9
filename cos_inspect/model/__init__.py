"""The vocabulary: what everything else speaks of, as plain data."""
