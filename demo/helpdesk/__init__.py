"""The demo helpdesk: a stand-in for Zendesk's OAuth, tokens, users and tickets, one per process."""
