"""Pages and endpoints: load, check, one operation, answer."""
