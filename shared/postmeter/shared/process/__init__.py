"""How a service's process lives: settings, logs, metrics, traces, the ops port."""
