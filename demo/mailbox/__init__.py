"""The demo's mail: a real SMTP receiver that keeps what it gets, and pages to read it."""
