"""query-service: answers every analytics endpoint from the rollups."""
