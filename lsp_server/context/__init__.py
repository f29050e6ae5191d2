"""What the model should see besides the cursor's line."""
