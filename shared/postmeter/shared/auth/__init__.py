"""Who is calling and what they may do: keys, scopes, principals that the gateway seals, secrets."""
