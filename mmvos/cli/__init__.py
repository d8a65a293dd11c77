"""The command lines of the project, and what they share."""
