"""The keys a config may have, as pydantic models, and the JSON schema made from them."""
