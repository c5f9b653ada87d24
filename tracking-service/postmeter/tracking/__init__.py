"""tracking-service: answers opens and clicks, takes messages and events, and writes the streams."""
