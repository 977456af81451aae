"""Published checkpoints: reading their files and putting them into models of diffusers and transformers."""
