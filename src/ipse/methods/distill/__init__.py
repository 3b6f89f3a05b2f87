"""Methods that pass on what a teacher knows; the protocol is `ipse.training.Taught`, with the teacher beside the model."""
