"""What pages say: buttons with their reasons, states in words, audit events as sentences."""
