"""The config language: YAML text → `Config` (`load.load`), and back (`dump.dump`).

Modules with pydantic models have annotations that are not strings; `cnncli.layers` says why.
"""
