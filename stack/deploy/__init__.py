"""What the containers mount or run besides the configuration that is made for them."""
