"""Actions on code: selection in, explanation or edit out."""
