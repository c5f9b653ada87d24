"""Opens, clicks and one-click unsubscribes: the public port, from the bytes of a request to its answer."""
