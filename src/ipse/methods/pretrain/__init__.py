"""Methods that pre-train an encoder without labels; the protocol is `ipse.training.Method`."""
