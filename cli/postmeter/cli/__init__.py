"""The command line: local mode, single services, migrations, workspaces and keys."""
