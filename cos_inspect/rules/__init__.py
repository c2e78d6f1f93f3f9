"""What can be wrong with COS traffic, one module per group of rules."""
