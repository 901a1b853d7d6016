"""Worker processes, where all torch arithmetic of a run happens."""
