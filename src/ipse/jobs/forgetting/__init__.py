"""What `ipse forget` is made of: which samples, what is left of them, and how it is shown."""
