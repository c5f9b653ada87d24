"""A mail's HTML, scanned in linear time: where pixel and tracked links go, and which links are left alone."""
