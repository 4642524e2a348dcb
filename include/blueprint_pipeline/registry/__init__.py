"""What must outlive a run: commits, leases, approvals, costs, deliveries, runs, messages."""
