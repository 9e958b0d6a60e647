"""The pages of the classroom, one module each: `routes(town)` says which paths it answers."""
