"""The schema's history: migrations go forward only and import nothing that lives on."""
