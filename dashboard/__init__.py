"""The read service: who may see which learner, and what the words of an answer mean. Reads aggregate tables only."""
