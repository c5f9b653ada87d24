"""The analytics of workspaces: overviews, campaigns, comparisons, deliverability, heatmaps."""
