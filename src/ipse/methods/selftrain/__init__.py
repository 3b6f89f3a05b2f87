"""Methods that learn from a few labels and much unlabelled data; the protocol is `ipse.training.Taught`."""
