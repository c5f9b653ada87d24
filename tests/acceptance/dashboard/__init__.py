"""The dashboard's screens in a real Chromium, on one product that all of these files share."""
