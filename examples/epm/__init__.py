"""Educational process mining: 105 students, three laboratory sessions."""
