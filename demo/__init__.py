"""The demo: an identity provider, two helpdesks and a mailbox as processes of their own, and the cast."""
