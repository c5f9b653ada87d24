"""Who asks and what they may do: keys, scopes, principals that the gateway seals, secrets."""
