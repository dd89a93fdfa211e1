"""One scan: what it is told, what it decides, its trainings, what is kept of each epoch, several processes."""
