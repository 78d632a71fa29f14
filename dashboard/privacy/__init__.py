"""Export and erasure of the data of one learner."""
