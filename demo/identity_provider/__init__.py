"""The demo's OpenID Connect provider: a process of its own, where one signs in by picking a person."""
