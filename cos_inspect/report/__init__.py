"""What is told of an exchange, and how it is written."""
