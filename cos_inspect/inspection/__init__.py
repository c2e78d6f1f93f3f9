"""What is said of exchanges: one alone, and many together."""
