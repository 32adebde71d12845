"""How files are written and read: whole or not at all, regular ones only, never more than a reader can take."""
