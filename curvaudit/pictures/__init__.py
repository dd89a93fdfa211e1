"""From decoded pictures to what is kept of them: portraits and their cache, and the pixels that are trained on."""
