"""People: who they are, which roles they have, and the record of what they did."""
