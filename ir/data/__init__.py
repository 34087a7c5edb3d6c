"""Where samples come from: one file per form in which a user names them."""
