"""Sending what notifications.py has written down: what it says, in which form, and the rule by which each goes out once."""
