"""The commands, by who needs them; `cli` puts them together."""
