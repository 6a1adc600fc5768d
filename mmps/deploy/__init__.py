"""Trained models as graphs that run without this package."""

from .onnx_export import build_graph, export_onnx

__all__ = ['build_graph', 'export_onnx']
