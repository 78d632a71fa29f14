DROP TABLE stream_losses, stream_positions;
