"""Tracking URLs that reach the gateway: passed on, and answered while tracking-service is down."""
