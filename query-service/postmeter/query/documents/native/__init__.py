"""The native API: any metric by any dimension, messages, campaigns, domains."""
