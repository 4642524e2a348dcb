"""What things cost: price tables, measured usage, ledger entries, and money in words."""
