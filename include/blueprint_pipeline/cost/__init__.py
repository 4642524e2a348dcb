"""What work costs: measured usage, dated prices, ledger entries, and the cost of an episode that was kept."""
