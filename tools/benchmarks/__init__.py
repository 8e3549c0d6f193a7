"""The project's figures, each printed by one command with device, seed, N and that command."""
