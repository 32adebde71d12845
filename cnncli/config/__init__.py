"""The config language: YAML text → `Config` (`load.load`), and back (`dump.dump`)."""
