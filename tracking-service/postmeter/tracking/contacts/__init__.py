"""The track API (Misar): what contacts did outside their mail: custom events and purchases."""
