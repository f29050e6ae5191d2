"""One completion, from the request to the text that is shown."""
