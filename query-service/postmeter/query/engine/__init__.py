"""The query engine: a typed query becomes bounded statements over rollup tiers."""
