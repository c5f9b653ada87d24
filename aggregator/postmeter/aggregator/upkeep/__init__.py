"""What happens without anybody's event: retention, blocklists."""
