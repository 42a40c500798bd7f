"""How a pack of training pictures is made from Debian packages that anyone may use."""
