"""What a task adds to the engine: targets as tensors, the loss and its sums."""
