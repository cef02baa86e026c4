"""Where recordings lie: names (both ways), directories, and what makes a finished recording final."""
