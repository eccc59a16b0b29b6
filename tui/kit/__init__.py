"""Files for the server: what Docker Compose needs to keep MLflow running there."""
