"""Serving: the versions behind the aliases answer requests, by ONNX Runtime, and no model file is executed."""
