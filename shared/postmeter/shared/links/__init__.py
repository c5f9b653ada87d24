"""What a tracked URL is made of: signed tokens, destinations, the pixel."""
