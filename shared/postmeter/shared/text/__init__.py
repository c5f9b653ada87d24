"""Outside text made safe and comparable: quoted, masked, domains in one form."""
