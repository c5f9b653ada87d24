"""What the gateway answers by itself: the dashboard's files, the OpenAPI document and its page."""
