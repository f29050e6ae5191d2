"""One file for each group of LSP methods, a few lines each."""
