"""The loops of the pipeline: store workers, live workers, maintenance and repair."""
