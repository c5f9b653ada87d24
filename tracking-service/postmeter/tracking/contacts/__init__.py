"""The track API (Misar): what contacts did beside their mail: custom events and purchases."""
