"""More than one processor: one video shared by several GPUs."""
