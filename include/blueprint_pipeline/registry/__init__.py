"""What must outlive a run: commits, leases, approvals, costs, deliveries, due scenes, runs, messages, baselines."""
