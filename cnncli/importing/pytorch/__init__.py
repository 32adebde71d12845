"""PyTorch's tensors: state_dicts in .pt files and in safetensors, read without PyTorch."""
