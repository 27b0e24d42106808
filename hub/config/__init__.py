"""Configuration: YAML directory in, typed settings or a full list of errors out."""
