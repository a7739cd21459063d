"""What users import; never imports the engine."""
