"""A request's way through the gateway: routed, authorised, passed on, answered."""
