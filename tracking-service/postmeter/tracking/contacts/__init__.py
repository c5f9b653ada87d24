"""The track API (D4): what contacts did beside their mail: custom events and purchases."""
