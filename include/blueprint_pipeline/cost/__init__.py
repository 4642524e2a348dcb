"""What work costs: measured usage, dated prices, and the cost of a kept episode."""
