"""Access: what may be asked for, who decides, and the life of the credentials that come of it."""
