"""`make bench`: what Keydesk costs, measured on real processes; see docs/benchmarks.md."""
