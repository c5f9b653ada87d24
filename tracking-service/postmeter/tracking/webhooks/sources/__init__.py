"""Sources: the webhooks themselves, as workspaces make, list, change and revoke them."""
